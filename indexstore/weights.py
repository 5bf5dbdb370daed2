"""Which weights made the vectors of a generation: a model folder may change behind a flow's back.

The fingerprint of a flow covers names and options. What a component is besides, such as the files
of its model, its workers tell when they first encode for a generation; others are refused then.
"""

import time
from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, select

from indexstore.model import CollectionInfo
from indexstore.schema import artefacts, documents
from indexstore.store import Store, read_collection

Key = tuple[str, str]  # stage, branch

#: Kept beside what components learn, under a name that no collection can have.
_PREFIX = "weights:"
_FOUND = (
    select(artefacts.c.stage, artefacts.c.branch, artefacts.c.generation, artefacts.c.fingerprint)
    .where(artefacts.c.collection == bindparam("of"))
    .where(artefacts.c.generation <= bindparam("generation"))
    .order_by(artefacts.c.generation)
)
_ANY_SHOWN = (
    select(documents.c.doc_id)
    .where(documents.c.collection == bindparam("of"), documents.c.live_version.is_not(None))
    .limit(1)
)


class Weights(Store):
    """Remembers which weights encode a collection, generation by generation."""

    def of(self, collection: str, generation: int) -> Mapping[Key, str]:
        """Return the fingerprints of the components that have encoded for this very generation."""
        found = self._found(collection, generation).items()
        return {key: print_ for key, (since, print_) in found if since == generation}

    def settle(self, collection: str, generation: int, key: Key, fingerprint: str) -> str:
        """Return the fingerprint that a generation's vectors were made with.

        The given one, if it is the first, or that of the generation before; if nothing is stored
        yet; or if the generation is still being made, beside the one that serves, and nobody has
        encoded for it before.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        since, known = self._found(collection, generation).get(key, (0, ""))
        if known == fingerprint and since == generation:
            return known
        with self.database.writing() as connection:
            info = read_collection(connection, collection, lock=True)
            since, known = _found(connection, collection, generation).get(key, (0, ""))
            is_empty = not connection.execute(_ANY_SHOWN, {"of": collection}).first()
            is_free = is_empty or known in ("", fingerprint)
            if not is_free and not _is_being_made(info, generation, since):
                return known
            row = {
                "collection": _PREFIX + collection, "stage": key[0], "branch": key[1],
                "generation": generation, "fingerprint": fingerprint, "blob": "",
                "trained_on": 0, "job_id": "", "created_at": time.time(),
            }  # fmt: skip
            columns = ("collection", "stage", "branch", "generation")
            statement = self._insert(artefacts).on_conflict_do_update(
                index_elements=[artefacts.c[name] for name in columns],
                set_={"fingerprint": fingerprint},
            )
            connection.execute(statement, row)
        return fingerprint

    def _found(self, collection: str, generation: int) -> dict[Key, tuple[int, str]]:
        return self.database.read(lambda connection: _found(connection, collection, generation))


def _found(connection: Connection, collection: str, generation: int) -> dict[Key, tuple[int, str]]:
    """Return since which generation each component encodes as it is, and its fingerprint."""
    rows = connection.execute(_FOUND, {"of": _PREFIX + collection, "generation": generation})
    return {(row.stage, row.branch): (row.generation, row.fingerprint) for row in rows}


def _is_being_made(info: CollectionInfo, generation: int, since: int) -> bool:
    """Tell whether a generation does not serve yet, and its weights are only inherited."""
    return generation > info.generation and since < generation
