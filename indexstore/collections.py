"""The collections: made with a flow's fingerprint, and refused to a flow of another."""

import time
from typing import Any

from sqlalchemy import bindparam, select, update

from indexstore.errors import CollectionNotFoundError, FingerprintMismatchError
from indexstore.model import CollectionInfo
from indexstore.schema import collections
from indexstore.store import COLLECTION, Store, read_collection

_STAMP = select(collections.c.last_version, collections.c.last_seq, collections.c.generation).where(
    collections.c.name == bindparam("name")
)


class Collections(Store):
    """Make, find and count collections."""

    def ensure_collection(self, name: str, *, fingerprint: str, shards: int) -> CollectionInfo:
        """Return the collection of a flow, made if it is new; a changed ``shards`` is taken over.

        Raises:   FingerprintMismatchError: another encoder or preprocessing made its vectors.
        """
        row: dict[str, Any] = {
            "name": name, "fingerprint": fingerprint, "generation": 1, "epoch": 1,
            "shards": shards, "last_version": 0, "last_seq": 0, "purged_seq": 0,
            "created_at": time.time(),
        }  # fmt: skip
        with self.database.writing() as connection:
            connection.execute(self._insert(collections).on_conflict_do_nothing(), row)
            info = read_collection(connection, name, lock=True)
            if info.fingerprint != fingerprint:
                raise FingerprintMismatchError(name, info.fingerprint, fingerprint)
            if info.shards == shards:
                return info
            change = update(collections).where(collections.c.name == name)
            connection.execute(change.values(shards=shards, epoch=info.epoch + 1))
            return read_collection(connection, name)

    def collection(self, name: str) -> CollectionInfo:
        """Return a collection's counters.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        return self.database.read(lambda connection: read_collection(connection, name))

    def collections(self) -> list[CollectionInfo]:
        """Return all collections, by name."""
        rows = self.database.rows(COLLECTION.order_by(collections.c.name), {})
        return [CollectionInfo(*row) for row in rows]

    def stamp(self, collection: str) -> tuple[int, int, int]:
        """Return last version, last sequence number and generation: unchanged, nothing was written.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        rows = self.database.rows(_STAMP, {"name": collection})
        if not rows:
            raise CollectionNotFoundError(collection)
        version, seq, generation = rows[0]
        return version, seq, generation
