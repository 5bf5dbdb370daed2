"""Opening and migrating databases."""

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from indexstore.database import Database
from indexstore.database_url import DRIVER, parse_url
from indexstore.errors import (
    CollectionNotFoundError,
    ReadOnlyError,
    SchemaVersionError,
    StorageUnavailableError,
)
from indexstore.generations import Generations
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.migrations import alembic_config, migrate
from indexstore.schema import REVISION, metadata
from tests.indexstore.samples import C, accept, text_document
from tests.servers.postgres import PostgresServer

ROOT = Path(__file__).parents[2]

READS: dict[str, Callable[[Database, str], object]] = {
    "counters": lambda database, _: Ledger(database).collection(C),
    "end of the log": lambda database, _: Log(database).last_seq(C),
    "the log": lambda database, _: Log(database).tail(
        C, 0, generation=1, slots=range(1024), limit=10
    ),
    "a job": lambda database, job: Ledger(database).job(job),
    "jobs": lambda database, _: Ledger(database).jobs(C),
    "jobs to close": lambda database, _: Ledger(database).close_jobs(),
    "what is due": lambda database, _: Ledger(database).lease(C, limit=1, lease_s=60.0),
    "generations": lambda database, _: Generations(database).next_generation(C),
    "version": lambda database, _: Ledger(database).delete(C, []),
    "size": lambda database, _: database.size_bytes(),
}
"""What reads on a connection of its own, by what it reads."""


def test_the_migrations_make_the_tables_that_the_code_knows(database: Database) -> None:
    """Nothing is left to migrate between the newest revision and ``schema``."""
    with database.writing() as connection:
        context = MigrationContext.configure(connection)

        assert compare_metadata(context, metadata) == []


def test_the_newest_revision_is_the_one_that_the_code_asks_for() -> None:
    """A new revision must raise ``schema.REVISION`` with it."""
    scripts = ScriptDirectory.from_config(alembic_config())

    assert scripts.get_heads() == [REVISION]


def test_migrating_again_changes_nothing(database_url: str) -> None:
    """A database at the newest revision is left alone."""
    assert migrate(database_url) is False


def test_several_may_migrate_at_once(tmp_path: Path) -> None:
    """Of several processes that start together one makes the tables, the others find them."""
    url = f"sqlite:///{tmp_path}/new/gnes.db"

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(migrate, [url] * 4))

    assert sorted(done) == [False, False, False, True]


def test_several_may_migrate_postgresql_at_once(postgres: PostgresServer) -> None:
    """The same on PostgreSQL, under an advisory lock."""
    url = postgres.create("migrated_at_once")

    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(migrate, [url] * 4))

    assert sorted(done) == [False, False, False, True]


def test_a_database_that_nobody_migrated_is_refused(tmp_path: Path) -> None:
    """It says which revision it wants, and makes no empty file."""
    path = tmp_path / "gnes.db"

    with pytest.raises(SchemaVersionError, match=f"revision none, this GNES needs {REVISION}"):
        Database.open(f"sqlite:///{path}")

    assert not path.exists()


def test_a_newer_database_is_refused(sqlite_url: str) -> None:
    """An old GNES neither uses nor migrates what a newer one made."""
    with sqlite3.connect(str(parse_url(sqlite_url).database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(SchemaVersionError, match="at revision 9999"):
        Database.open(sqlite_url)
    with pytest.raises(SchemaVersionError, match="at revision 9999"):
        migrate(sqlite_url)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("nonsense", "no database URL"),
        ("mysql://root:secret@host/db", "'mysql' is not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
        ("postgresql://me:secret@127.0.0.1:1/gnes", "refused"),
    ],
)
def test_a_database_that_cannot_be_used_is_named(url: str, why: str) -> None:
    """The error says what is wrong and where to mend it, and shows no password."""
    with pytest.raises(StorageUnavailableError, match=why) as caught:
        Database.open(url)

    assert "GNES_DATABASE_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_the_driver_of_postgresql_the_cure_is_named() -> None:
    """Before anything is connected to; it is the one that the requirements pin."""
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from indexstore.database import Database\n"
        "try: Database.open('postgresql://me:secret@127.0.0.1:1/gnes')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert said.startswith("MissingPackageError GNES_DATABASE_URL=postgresql://... needs")
    assert f"pip install {DRIVER}" in said
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert DRIVER in (ROOT / name).read_text()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    """A path that points elsewhere is not overwritten."""
    path = tmp_path / "notes.txt"
    path.write_text("my notes\n" * 1000)

    with pytest.raises(StorageUnavailableError, match="not a database"):
        migrate(f"sqlite:///{path}")

    assert path.read_text().startswith("my notes")


def test_what_is_acknowledged_is_on_the_disk(sqlite_url: str) -> None:
    """Writers wait for the disk (synchronous=FULL) in a file that can give space back."""
    database = Database.open(sqlite_url)

    with database.writing() as connection:
        settings = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("synchronous", "journal_mode", "auto_vacuum", "busy_timeout")
        }
    database.close()

    assert settings == {
        "synchronous": 2, "journal_mode": "wal", "auto_vacuum": 2, "busy_timeout": 30_000,
    }  # fmt: skip


def test_a_reader_never_waits_for_a_writer(ledger: Ledger) -> None:
    """While a transaction is open its changes are unseen, and reading goes on."""
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE collections SET last_version = 77"))

        assert ledger.stamp(C) == (0, 0, 1)
    assert ledger.stamp(C) == (77, 0, 1)


def test_a_snapshot_sees_one_state(ledger: Ledger) -> None:
    """What is committed after its first statement stays unseen until it ends."""
    query = text("SELECT last_version FROM collections")
    with ledger.database.snapshot() as snapshot:
        before = snapshot.scalar(query)
        accept(ledger, text_document("a"))

        assert (before, snapshot.scalar(query)) == (0, 0)
    assert ledger.stamp(C)[0] == 1


def test_a_failed_transaction_leaves_nothing(ledger: Ledger) -> None:
    """An error inside it takes back everything, and the lock is free again."""

    def fail() -> None:
        with ledger.database.writing() as connection:
            connection.execute(text("UPDATE collections SET last_version = 77"))
            raise CollectionNotFoundError(C)

    with pytest.raises(CollectionNotFoundError):
        fail()

    assert ledger.stamp(C) == (0, 0, 1)
    assert accept(ledger, text_document("a")).token == 1


@pytest.mark.usefixtures("ledger")
def test_a_read_only_store_refuses_writes(database_url: str) -> None:
    """It reads, and says what to change to write."""
    reader = Ledger.open(database_url, read_only=True)

    assert reader.stamp(C) == (0, 0, 1)
    with pytest.raises(ReadOnlyError, match="read_only=True"):
        accept(reader, text_document("a"))
    reader.close()


def test_threads_share_one_store(ledger: Ledger) -> None:
    """Eight threads that write at once get distinct versions without a gap."""
    barrier = threading.Barrier(8)

    def work(thread: int) -> list[int]:
        barrier.wait()
        return [accept(ledger, text_document(f"{thread}-{n}")).token for n in range(10)]

    with ThreadPoolExecutor(8) as threads:
        tokens = [token for part in threads.map(work, range(8)) for token in part]

    assert sorted(tokens) == list(range(1, 81))


def test_a_forked_child_uses_connections_of_its_own(ledger: Ledger) -> None:
    """Celery forks its workers: parent and child both go on working with the same object."""
    accept(ledger, text_document("parent"))
    child = os.fork()
    if child == 0:
        status = 1
        try:
            accept(ledger, text_document("child"))
            status = 0 if ledger.count(C) == 2 else 2
        finally:
            os._exit(status)

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    assert ledger.count(C) == 2
    assert accept(ledger, text_document("parent")).token == 3


def test_connections_that_the_server_ended_are_made_again(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    """A restarted PostgreSQL costs nobody an error: neither a read nor a write."""
    url = postgres.create(f"restarted_{tmp_path.name.lower()}")
    migrate(url)
    ledger = Ledger.open(url)
    ledger.ensure_collection(C, fingerprint="f", shards=1)
    accept(ledger, text_document("a"))

    postgres.end_connections()
    token = accept(ledger, text_document("b")).token
    postgres.end_connections()
    stamp = ledger.stamp(C)
    ledger.close()

    assert (token, stamp) == (2, (2, 0, 1))


@pytest.mark.parametrize("what", READS)
def test_no_read_fails_for_a_connection_that_the_server_ended(
    postgres: PostgresServer, what: str
) -> None:
    """A shard that reads the log for a query, a client that waits, a dispatcher: all ask again."""
    postgres.clear("migrated")
    database = Database.open(postgres.url("migrated"))
    ledger = Ledger(database)
    ledger.ensure_collection(C, fingerprint="f", shards=1)
    job = accept(ledger, text_document("a")).job_id
    READS[what](database, job)  # a connection that was in use just now is not tried first

    postgres.end_connections()

    READS[what](database, job)
    database.close()
