"""What ledger, log and manifest share: an opened database, and the lock on a collection's row."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any, Self, TypeVar

from sqlalchemy import Connection, Row, bindparam, literal_column, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ColumnElement

from indexstore.database import Database
from indexstore.errors import CollectionNotFoundError
from indexstore.model import CollectionInfo
from indexstore.schema import collections

T = TypeVar("T")
AnyRow = Row[*tuple[Any, ...]]

#: Kind of the rows beside a job that only remember the idempotency key of a further batch of it.
PART = "part"

#: Partial indexes are used only when the planner sees the value itself, not a parameter.
QUEUED: ColumnElement[str] = literal_column("'queued'")
INDEXED: ColumnElement[str] = literal_column("'indexed'")
IS_FAILED = text("state IN ('failed', 'dead')")

COLLECTION = select(*(collections.c[field.name] for field in fields(CollectionInfo)))
_COLLECTION = COLLECTION.where(collections.c.name == bindparam("name"))
_LOCKED = _COLLECTION.with_for_update()
_ADVANCE = (
    update(collections)
    .where(collections.c.name == bindparam("of"))
    .values(
        last_version=collections.c.last_version + bindparam("versions"),
        last_seq=collections.c.last_seq + bindparam("seqs"),
    )
    .returning(collections.c.last_version, collections.c.last_seq)
)


class Store:
    """A part of the index store over one database, which several parts may share."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open the store of a database that ``migrate`` has made.

        Raises:   StorageUnavailableError: it cannot be reached. SchemaVersionError: its schema is
                  another version's.
        """
        return cls(Database.open(url, read_only=read_only))

    def close(self) -> None:
        """Close the database for every part that shares it."""
        self.database.close()

    def _insert(self, table: Any) -> Any:
        """Return an INSERT that can say ON CONFLICT, which each database spells by itself."""
        insert = sqlite.insert if self.database.is_sqlite else postgresql.insert
        return insert(table)


def read_collection(connection: Connection, name: str, *, lock: bool = False) -> CollectionInfo:
    """Return a collection's counters; with ``lock`` no other writer of it gets past this line.

    Every transaction that writes documents or the log begins here, so that none of them can wait
    for each other in a circle.

    Raises:   CollectionNotFoundError: there is none of that name.
    """
    row = connection.execute(_LOCKED if lock else _COLLECTION, {"name": name}).one_or_none()
    if row is None:
        raise CollectionNotFoundError(name)
    return CollectionInfo(*row)


def advance(
    connection: Connection, collection: str, *, versions: int = 0, seqs: int = 0
) -> tuple[int, int]:
    """Allocate versions and sequence numbers in this transaction; return the last of each.

    Raises:   CollectionNotFoundError: there is none of that name.
    """
    parameters = {"of": collection, "versions": versions, "seqs": seqs}
    row = connection.execute(_ADVANCE, parameters).one_or_none()
    if row is None:
        raise CollectionNotFoundError(collection)
    return row.last_version, row.last_seq


def batches(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield a sequence in parts of ``size``: short transactions let other writers in between."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
