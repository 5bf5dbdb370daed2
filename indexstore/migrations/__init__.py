"""Make and change the schema: ``migrate(url)`` may be called by many processes at once."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from indexstore.database import Database, revision_of
from indexstore.database_url import parse_url
from indexstore.errors import SchemaVersionError
from indexstore.schema import REVISION

#: Any number that nobody else locks: "gnes" in ASCII.
_LOCK = 0x676E6573


def migrate(url: str) -> bool:
    """Bring a database to the newest schema; return whether there was anything to do.

    The whole migration is one transaction under a lock: of several processes that start at once
    one migrates, the others wait and find it done; a crash leaves the old schema.

    Raises:   StorageUnavailableError: the database cannot be reached. SchemaVersionError: a newer
              version of GNES made it.
    """
    parsed = parse_url(url)
    database = Database(parsed, read_only=False)
    if database.is_sqlite:
        Path(str(parsed.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
    try:
        with database.reading() as connection:
            if revision_of(connection) == REVISION:
                return False
        with database.writing() as connection:
            return _migrate_locked(connection, database)
    finally:
        database.close()


def alembic_config() -> Any:
    """Return Alembic's configuration of our revisions."""
    # Every process looks whether there is something to migrate, and hardly ever there is: Alembic
    # takes longer to import than a worker takes to open its shard.
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _migrate_locked(connection: Connection, database: Database) -> bool:
    if not database.is_sqlite:  # SQLite's transaction is the lock itself
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = revision_of(connection)
    if found == REVISION:
        return False
    if found > REVISION and found != "none":
        raise SchemaVersionError(database.name, found, REVISION)
    from alembic import command  # noqa: PLC0415 - see alembic_config

    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, REVISION)
    return True
