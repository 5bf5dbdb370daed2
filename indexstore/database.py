"""One door to the database: engines, transactions, and errors in our own words."""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Self, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    Select,
    String,
    bindparam,
    create_engine,
    event,
    func,
    inspect,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import URL
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.elements import ColumnElement

from indexstore.database_url import parse_url
from indexstore.errors import (
    ReadOnlyError,
    SchemaVersionError,
    StorageUnavailableError,
    UnstorableTextError,
)
from indexstore.schema import REVISION
from indexstore.sql_errors import translated
from indexstore.turnstile import Turnstile

T = TypeVar("T")

#: A short time-out would let SQLite's unfair waiting reach a caller as "database is locked".
BUSY_TIMEOUT_S = 30.0

#: After this a writer stops being polite to the other processes, and asks SQLite itself.
TURN_PATIENCE_S = 10.0

#: A WAL that one large transaction blew up is cut back to this at the next checkpoint.
WAL_LIMIT_BYTES = 64 * 1024 * 1024

_CHECKPOINT_TIMEOUT_MS = 200

#: A round trip a read is too much to pay for the news that the server is still there.
_IDLE_S = 1.0
_CONNECT_S = 5  # seconds until a database that does not answer is taken for gone

#: Threads of one process that read or write at the same time; more wait for a connection.
POOL_SIZE = 32


class Database:
    """An opened database: short writing transactions, and reads that never wait for them."""

    def __init__(self, url: URL, *, read_only: bool) -> None:
        self.url, self.read_only = url, read_only
        self.name = url.render_as_string(hide_password=True)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._reader = _engine(url, writes=False)
        self._writer = _engine(url, writes=True)
        self._pid = os.getpid()
        self._turn: Callable[[], AbstractContextManager[None]] = nullcontext
        if self.is_sqlite:
            path = Path(str(url.database)).absolute()
            self._turn = Turnstile(path, patience_s=TURN_PATIENCE_S).turn

    @classmethod
    def open(cls, url: str, *, read_only: bool = False) -> Self:
        """Open a database that ``migrate`` has made.

        Raises:   StorageUnavailableError: it cannot be reached. SchemaVersionError: another
                  version of GNES made it, or nobody has.
        """
        database = cls(parse_url(url), read_only=read_only)
        try:
            database._check_revision()
        except BaseException:
            database.close()
            raise
        return database

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that holds the write lock from its first moment on SQLite."""
        if self.read_only:
            raise ReadOnlyError(self.name)
        self._leave_parents_connections()
        with (
            self._turn(),
            translated(self.name, BUSY_TIMEOUT_S),
            self._writer.begin() as connection,
        ):
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection whose every statement sees the newest committed state."""
        self._leave_parents_connections()
        with translated(self.name, BUSY_TIMEOUT_S), self._reader.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Give a connection whose statements all see one committed state."""
        with self.reading() as connection:
            begin = "BEGIN" if self.is_sqlite else "BEGIN ISOLATION LEVEL REPEATABLE READ"
            connection.exec_driver_sql(begin)
            try:
                yield connection
            finally:
                connection.exec_driver_sql("ROLLBACK")

    def among(self, column: ColumnElement[str], name: str) -> ColumnElement[bool]:
        """Return "column is one of the list bound as ``name``" with one parameter for any length.

        Bind ``list_of(values)``: JSON on SQLite, an array on PostgreSQL.
        """
        if self.is_sqlite:
            values = func.json_each(bindparam(name, type_=String)).table_valued("value")
            return column.in_(select(values.c.value))
        return column == func.any(bindparam(name, type_=ARRAY(String)))

    def list_of(self, values: Sequence[str]) -> Any:
        """Return values as the parameter that ``among`` wants.

        Raises:   UnstorableTextError: one holds U+0000, at which SQLite's JSON would cut it off.
        """
        if any("\x00" in value for value in values):
            raise UnstorableTextError("one of the ids holds the character U+0000")
        return json.dumps(list(values)) if self.is_sqlite else list(values)

    def rows(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
        """Return all rows of one statement, as they are committed now."""
        return self.read(lambda connection: connection.execute(statement, parameters).fetchall())

    def tuples(self, statement: Select[Any], parameters: dict[str, Any]) -> Sequence[Any]:
        """Return all rows as the driver's own tuples: twice as fast where there are hundreds."""

        def ask(connection: Connection) -> Sequence[Any]:
            with connection.execute(statement, parameters) as result:
                return list(result.cursor.fetchall())

        return self.read(ask)

    def read(self, ask: Callable[[Connection], T]) -> T:
        """Return what ``ask`` reads; it is called again when a server had ended the connection."""
        try:
            with self.reading() as connection:
                return ask(connection)
        except StorageUnavailableError:
            if self.is_sqlite:
                raise
        # A restarted server ends the connections it had; a read can be asked again.
        with self.reading() as connection:
            return ask(connection)

    def size_bytes(self) -> int:
        """Return what the database takes on disk."""
        if not self.is_sqlite:
            size = text("SELECT pg_database_size(current_database())")
            return int(self.read(lambda connection: connection.scalar(size)) or 0)
        path = Path(str(self.url.database))
        files = (path, path.with_name(path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def free_bytes(self) -> int:
        """Return the room inside the file that nothing uses; 0 on PostgreSQL, which sees to it."""
        if not self.is_sqlite:
            return 0
        with self.reading() as connection:
            pages = connection.scalar(text("PRAGMA freelist_count")) or 0
            return int(pages) * int(connection.scalar(text("PRAGMA page_size")) or 0)

    def give_back_space(self, *, pages: int = 2000) -> None:
        """Give up to ``pages`` free pages back to the file system; holds writers up for a moment.

        PostgreSQL's autovacuum does the like by itself.
        """
        if not self.is_sqlite:
            return
        if self.read_only:
            raise ReadOnlyError(self.name)
        self._leave_parents_connections()
        with (
            self._turn(),
            translated(self.name, BUSY_TIMEOUT_S),
            closing(self._writer.raw_connection()) as pooled,
        ):
            # A script, because the driver steps other statements once, which frees one page.
            driver: Any = pooled.driver_connection
            driver.executescript(f"PRAGMA incremental_vacuum({int(pages)})")
            try:
                # Readers of old snapshots are not waited for long: writers would wait with us.
                driver.execute(f"PRAGMA busy_timeout={_CHECKPOINT_TIMEOUT_MS}")
                driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                driver.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")

    def close(self) -> None:
        """Close every connection; the database can be opened again."""
        self._reader.dispose()
        self._writer.dispose()

    def _leave_parents_connections(self) -> None:
        """A forked child must not speak on its parent's connections, nor close them."""
        if self._pid != os.getpid():
            self._reader.dispose(close=False)
            self._writer.dispose(close=False)
            self._pid = os.getpid()

    def _check_revision(self) -> None:
        if self.is_sqlite and not Path(str(self.url.database)).exists():
            raise SchemaVersionError(self.name, "none", REVISION)
        with self.reading() as connection:
            found = revision_of(connection)
        if found != REVISION:
            raise SchemaVersionError(self.name, found, REVISION)


def revision_of(connection: Connection) -> str:
    """Return the schema's revision, or "none" in a database without our tables."""
    if not inspect(connection).has_table("alembic_version"):
        return "none"
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")) or "none")


def _engine(url: URL, *, writes: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, writes=writes)
    engine = create_engine(
        url,
        isolation_level="READ COMMITTED" if writes else "AUTOCOMMIT",
        pool_size=4,
        max_overflow=POOL_SIZE,
        pool_pre_ping=writes,  # a lost write cannot be repeated blindly
        connect_args={
            "options": f"-c lock_timeout={int(BUSY_TIMEOUT_S * 1000)}",
            # psycopg's own is two minutes: whoever awaits an answer has left by then.
            "connect_timeout": url.query.get("connect_timeout", _CONNECT_S),
        },
    )
    if not writes:
        _ping_when_idle(engine)
    return engine


def _ping_when_idle(engine: Engine) -> None:
    """Ask a connection whether it still lives, but only when it was not in use just now."""

    @event.listens_for(engine, "checkin")
    def remember(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["used_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def ping(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if time.monotonic() - record.info.get("used_at", 0.0) < _IDLE_S:
            return
        try:
            connection.execute("SELECT 1")
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool makes a new one


def _sqlite_engine(url: URL, *, writes: bool) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,  # idle ones cost a file handle
        max_overflow=POOL_SIZE,
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None  # transactions are ours, not the driver's
        _prepare_file(connection)
        connection.execute("PRAGMA synchronous=FULL")  # acknowledged means on the disk
        connection.execute(f"PRAGMA journal_size_limit={WAL_LIMIT_BYTES}")
        if not writes:
            connection.execute("PRAGMA query_only=ON")

    if writes:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            # A deferred transaction that reads and then writes fails at once under contention.
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _prepare_file(connection: sqlite3.Connection) -> None:
    """Set what a SQLite file remembers; several processes may do so at the same moment."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            # In this order: on a new file, WAL writes the first page, which fixes auto_vacuum.
            connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
            connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            # The change to WAL does not wait for the busy time-out.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
