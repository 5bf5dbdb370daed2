"""A private RabbitMQ for tests: Debian's package, its own ports and folder, no service manager."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kombu.connection import Connection

from app.supervisor.broker import free_port

BIN = Path("/usr/lib/rabbitmq/bin")  # the wrappers in /usr/sbin want to become another user
CURE = "RabbitMQ is not installed; on Debian: apt-get install rabbitmq-server"
START_S = 60.0


@contextmanager
def running_rabbitmq(folder: Path) -> Iterator[str]:
    """Run a broker for the length of the block; give its URL.

    Raises:
        AssertionError: it is not installed, or does not start; the text has the cure.
    """
    assert (BIN / "rabbitmq-server").exists(), CURE
    port, epmd_port = free_port(), free_port()
    config = folder / "rabbitmq.conf"
    config.write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\n")
    (folder / "plugins").write_text("[].\n")
    environment = {
        **os.environ,
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"gnes{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(config),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "ERL_EPMD_PORT": str(epmd_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [str(BIN / "rabbitmq-server")],
            env=environment, stdout=log, stderr=log, process_group=0,
        )  # fmt: skip
    url = f"amqp://guest:guest@127.0.0.1:{port}//"
    try:
        _wait(url, server, folder / "server.log")
        yield url
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        # epmd outlives every node by design; this one is ours alone, by its port.
        epmd = shutil.which("epmd")
        if epmd:
            subprocess.run(
                [epmd, "-port", str(epmd_port), "-kill"], capture_output=True, check=False
            )


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_S
    while True:
        try:
            with Connection(url, connect_timeout=2) as connection:
                connection.connect()
        except OSError:
            is_over = time.monotonic() > end or server.poll() is not None
            assert not is_over, log.read_text(errors="replace")[-2000:]
            time.sleep(0.2)
        else:
            return
