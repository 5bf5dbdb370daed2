"""A private S3 server for tests: moto's, as a process of its own, on its own port."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import httpx2
import pytest

from app.supervisor.broker import free_port
from tests.servers.process import ServerProcess

START_S = 30.0
BUCKET = "gnes"
CURE = "pip install -r requirements-dev.txt"
_ENTRY = re.compile(r"<Contents><Key>(.*?)</Key>.*?<Size>(\d+)</Size>", re.DOTALL)
_NEEDED = ("moto", "flask", "flask_cors", "s3fs")


@dataclass
class S3Server(ServerProcess):
    """A running server with one empty bucket; what it holds is gone with it."""

    port: int

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process must be told, in AWS's own variables."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start the server, wait until it answers, and make the bucket."""
        self.run(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            lambda: httpx2.put(f"{self.endpoint}/{BUCKET}", timeout=5).raise_for_status(),
            unready=httpx2.TransportError,
            within_s=START_S,
        )

    def objects(self) -> dict[str, int]:
        """Return what the bucket holds: sizes in bytes by key; a thousand at most."""
        text = httpx2.get(f"{self.endpoint}/{BUCKET}?list-type=2", timeout=10).text
        return {key: int(size) for key, size in _ENTRY.findall(text)}


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """Run a server for the length of the block."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        pytest.fail(f"an S3 server needs {', '.join(missing)}: {CURE}")
    server = S3Server(free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
