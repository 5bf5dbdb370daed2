"""A deployment as a child of this process: it ends with us, however we end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.supervisor.broker import free_port
from app.supervisor.deployment import DataFolder, DeploymentState
from app.supervisor.errors import NotReadyError, NotRunningError, StartFailedError
from app.supervisor.logs import tail
from app.supervisor.undertaker import wait_until

START_S = 120.0
STOP_S = 60.0


@contextmanager
def deployment(
    folder: DataFolder, *, flow: Path | None = None, port: int | None = None
) -> Iterator[DeploymentState]:
    """Run ``gnes up`` as a child for the length of the block; the block begins when it is ready.

    The child watches its standard input: the pipe closes when this process is gone.

    Args:
        folder: where it keeps its data.
        flow: its flow file; the default one when None.
        port: where its API listens; a free port when None.

    Raises:
        StartFailedError: it ended. NotReadyError: it was not ready in time.
    """
    folder.logs.mkdir(parents=True, exist_ok=True)
    log = folder.logs / "supervisor.log"
    command = [sys.executable, "-m", "app.cli.main", "up", *([str(flow)] if flow else [])]
    command += ["--quiet", "--while-stdin-open", "--host", "127.0.0.1"]
    command += ["--port", str(port or free_port()), "--data-dir", str(folder.path)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=stream, stderr=stream, process_group=0
        )
    try:
        wait_until(lambda: process.poll() is not None or _is_ready(folder), START_S)
        if process.poll() is not None:
            said = "\n".join(tail(log, 30))
            raise StartFailedError("gnes up", f"it ended with {process.returncode}", said)
        if not _is_ready(folder):
            raise NotReadyError(START_S, "see the logs of its processes")
        yield folder.state()
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait(STOP_S)
        folder.wait_until_free(STOP_S)


def _is_ready(folder: DataFolder) -> bool:
    try:
        return folder.state().is_ready
    except NotRunningError:
        return False
