"""Which database a URL names, and whether there is anything here that speaks to it."""

from importlib.util import find_spec

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from indexstore.errors import MissingPackageError, StorageUnavailableError

#: What speaks to PostgreSQL, as requirements.txt pins it.
DRIVER = "psycopg[binary]==3.3.9"


def parse_url(url: str) -> URL:
    """Return a checked database URL; PostgreSQL is spoken to through psycopg 3.

    Raises:   StorageUnavailableError: it is malformed, or of a database that is not supported.
              MissingPackageError: the driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StorageUnavailableError(url, "that is no database URL") from error
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        if find_spec("psycopg") is None:
            raise MissingPackageError(DRIVER, "GNES_DATABASE_URL=postgresql://...")
        is_plain = parsed.drivername == "postgresql"
        return parsed.set(drivername="postgresql+psycopg") if is_plain else parsed
    if backend not in {"sqlite", "postgresql"}:
        raise StorageUnavailableError(
            parsed.render_as_string(hide_password=True),
            f"{backend!r} is not supported, only sqlite:///path and postgresql://host/name are",
        )
    if backend == "sqlite" and parsed.database in {None, "", ":memory:"}:
        raise StorageUnavailableError(url, "SQLite needs a file that several processes can share")
    return parsed
