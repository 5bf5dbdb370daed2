"""What a database driver complains of, in the words of ``errors``."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from indexstore.errors import (
    IndexStoreError,
    StorageBusyError,
    StorageFullError,
    StorageUnavailableError,
    UnstorableTextError,
)

_SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_SQLITE_UNAVAILABLE = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
}
_PRIMARY_CODE = 0xFF  # extended SQLite codes keep the primary one in the low byte

_POSTGRES_FULL = {"53100"}  # disk_full
_POSTGRES_BUSY = {"40001", "40P01", "55P03"}  # serialization, deadlock, lock not available
_POSTGRES_UNAVAILABLE = ("08", "28", "3D", "53", "57", "58")  # classes of SQLSTATE


@contextmanager
def translated(database: str, waited_s: float) -> Iterator[None]:
    """Raise our errors in place of the driver's, where a user can do something about them."""
    try:
        yield
    except PoolTimeoutError as error:
        raise StorageBusyError(database, waited_s) from error
    except (UnicodeEncodeError, DataError) as error:
        # From a URL: half a surrogate pair on any database, U+0000 on PostgreSQL.
        raise UnstorableTextError(_first_line(error)) from error
    except DBAPIError as error:
        mapped = _mapped(error, database, waited_s)
        if mapped is None:
            raise
        raise mapped from error
    except sqlite3.Error as error:
        mapped = _of_sqlite(error, database, waited_s)
        if mapped is None:
            raise
        raise mapped from error


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).partition("\n")[0]


def _mapped(error: DBAPIError, database: str, waited_s: float) -> IndexStoreError | None:
    if isinstance(error.orig, sqlite3.Error):
        return _of_sqlite(error.orig, database, waited_s)
    detail = str(error.orig).strip() or type(error.orig).__name__
    return _of_postgres(error, database, detail, waited_s)


def _of_sqlite(cause: sqlite3.Error, database: str, waited_s: float) -> IndexStoreError | None:
    detail = str(cause)
    code = (getattr(cause, "sqlite_errorcode", None) or 0) & _PRIMARY_CODE
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError(database, detail)
    if code in _SQLITE_BUSY:
        return StorageBusyError(database, waited_s)
    if code in _SQLITE_UNAVAILABLE:
        return StorageUnavailableError(database, detail)
    return None


def _of_postgres(
    error: DBAPIError, database: str, detail: str, waited_s: float
) -> IndexStoreError | None:
    state = getattr(error.orig, "sqlstate", None) or ""
    if state in _POSTGRES_FULL:
        return StorageFullError(database, detail)
    if state in _POSTGRES_BUSY:
        return StorageBusyError(database, waited_s)
    # A connection that was never made, or broke, carries no SQLSTATE at all.
    is_connection = error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
    if state.startswith(_POSTGRES_UNAVAILABLE) or (not state and is_connection):
        return StorageUnavailableError(database, detail)
    return None
