"""The data folder of one deployment: who holds it, what runs there, where things lie."""

import fcntl
import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from app.settings import STATE_FILE
from app.supervisor.errors import DataFolderError, DataFolderInUseError, NotRunningError
from app.supervisor.process import ProcessStatus
from app.supervisor.undertaker import wait_until

HANDOVER_S = 15.0
"""How long a start waits for the last processes of a deployment whose supervisor was killed."""


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """What a supervisor writes down about itself, for `gnes status`, `down`, `logs` and `scale`."""

    pid: int
    url: str
    flow: str
    broker_url: str
    control: str
    scratch: str
    started_at: float
    is_ready: bool = False
    processes: tuple[ProcessStatus, ...] = field(default_factory=tuple)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> "DeploymentState":
        """Build the state again from its JSON."""
        processes = tuple(ProcessStatus(**process) for process in data["processes"])
        return cls(**{**data, "processes": processes})


class DataFolder:
    """The one folder a deployment lives in; holds nothing that another deployment needs."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @property
    def logs(self) -> Path:
        """Where each process has its log."""
        return self.path / "logs"

    @property
    def broker(self) -> Path:
        """Where the embedded broker keeps its append-only file."""
        return self.path / "broker"

    @property
    def procfile(self) -> Path:
        """The processes as they were started, in a format that other supervisors read too."""
        return self.path / "Procfile"

    @property
    def _lock(self) -> Path:
        return self.path / "lock"

    @property
    def _state(self) -> Path:
        return self.path / STATE_FILE

    def hold(self) -> int:
        """Make the folder and lock it for this process; return the descriptor that holds the lock.

        The lock goes with its last holder, however that ends, so a stale one cannot exist.

        Raises: DataFolderInUseError: a deployment runs here; DataFolderError: it cannot be written.
        """
        try:
            for folder in (self.path, self.logs, self.broker):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataFolderError(self.path, error.strerror or str(error)) from error
        if not wait_until(lambda: _lock_now(descriptor), self._patience_s()):
            os.close(descriptor)
            raise DataFolderInUseError(self.path, self.holder())
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._sweep()
        return descriptor

    def holder(self) -> int | None:
        """Return the process id of the supervisor written in the lock; None when there is none."""
        try:
            return int(self._lock.read_text() or 0) or None
        except (OSError, ValueError):
            return None

    def is_held(self) -> bool:
        """Tell whether a deployment runs here, or is still being taken down."""
        try:
            descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _lock_now(descriptor)
        finally:
            os.close(descriptor)

    def write_state(self, state: DeploymentState) -> None:
        """Write down what runs, so that a reader sees the old or the new state, never half."""
        beside = self._state.with_suffix(".tmp")
        beside.touch(mode=0o600)  # it holds the broker's password
        beside.write_text(json.dumps(asdict(state), indent=1))
        beside.replace(self._state)

    def forget_state(self) -> None:
        """Remove the state: nothing runs here any more."""
        self._state.unlink(missing_ok=True)

    def state(self) -> DeploymentState:
        """Return what runs here.

        Raises: NotRunningError: nothing does.
        """
        if not self.is_held():
            raise NotRunningError(self.path)
        try:
            return DeploymentState.from_dict(json.loads(self._state.read_text()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise NotRunningError(self.path) from error

    def wait_until_free(self, timeout_s: float) -> bool:
        """Wait until nothing runs here any more; tell whether that came true in time."""
        return wait_until(lambda: not self.is_held(), timeout_s)

    def _patience_s(self) -> float:
        """Return how long to wait for the lock: only a dying holder is worth waiting for."""
        holder = self.holder()
        return HANDOVER_S if holder is not None and not _exists(holder) else 0.0

    def _sweep(self) -> None:
        """Remove what a killed supervisor left in the temporary folder."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            scratch = Path(json.loads(self._state.read_text())["scratch"])
            if scratch.name.startswith(SCRATCH_PREFIX):
                shutil.rmtree(scratch, ignore_errors=True)
        self.forget_state()


SCRATCH_PREFIX = "gnes-"


def make_scratch() -> Path:
    """Make a private folder with a short name, for sockets: their paths must be short."""
    return Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _lock_now(descriptor: int) -> bool:
    """Try to take a lock without waiting; tell whether it is taken."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
