"""One supervised process: started, listened to, started again, ended."""

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.supervisor.logs import RotatingLog, Screen
from app.supervisor.undertaker import group_is_alive, signal_group

State = Literal["running", "backoff", "stopping", "stopped"]

BACKOFF_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""The waits before a process that died is started again; the last one is repeated."""
STEADY_S = 10.0
"""A process that has lived this long is taken to be well: the next wait is the shortest again."""
PR_SET_PDEATHSIG = 1
CHUNK_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class ProcessSpec:
    """What to run: a name, a command, what its environment adds, and the queue it serves.

    ``node`` is what a worker calls itself, but for the host.
    """

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    queue: str = ""
    group: str = ""
    node: str = ""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """What is known of a supervised process at one moment."""

    name: str
    group: str
    queue: str
    state: State
    pid: int | None
    restarts: int
    started_at: float | None


class Child:
    """A process that is kept alive: its pipe, its log, and when it may be started again."""

    def __init__(self, spec: ProcessSpec, log: Path, screen: Screen | None) -> None:
        self.spec = spec
        self.log_path = log
        self.restarts = 0
        self.quick_deaths = 0
        self.outcome = ""
        self.exit_status: int | None = None
        self.due_at: float | None = 0.0
        self.retiring = False
        self._log = RotatingLog(log)
        self._screen = screen
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self._started_at: float | None = None
        self._rest = b""

    @property
    def pid(self) -> int | None:
        """The process id, which is its group's too; None while nothing runs."""
        return self._process.pid if self._process else None

    @property
    def pipe(self) -> int | None:
        """The descriptor that the process speaks into; None while nothing runs."""
        stdout = self._process.stdout if self._process else None
        return stdout.fileno() if stdout else None

    @property
    def is_running(self) -> bool:
        """Whether the process has been started and not yet been reaped."""
        return self._process is not None

    @property
    def state(self) -> State:
        """What the process is doing, in one word."""
        if self._process is not None:
            return "stopping" if self.retiring else "running"
        return "stopped" if self.retiring else "backoff"

    @property
    def status(self) -> ProcessStatus:
        """What is known of the process now."""
        spec = self.spec
        return ProcessStatus(
            spec.name, spec.group, spec.queue, self.state, self.pid, self.restarts, self._started_at
        )

    def start(self, register: Callable[[int], None]) -> int:
        """Start the process in a group of its own; return the pipe that it speaks into.

        Call it from the main thread: Linux sends the death signal when the *thread* that forked
        ends. ``register`` is called with the pid in the child, before the program is loaded.
        """
        parent = os.getpid()
        libc = ctypes.CDLL(None) if sys.platform == "linux" else None

        def enter() -> None:
            if libc is not None:
                libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != parent:  # it died between fork and prctl
                os._exit(1)
            register(os.getpid())

        process = subprocess.Popen(
            self.spec.command,
            env={**os.environ, **self.spec.env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=enter,  # noqa: PLW1509 - this process has one thread
            process_group=0,
        )
        if process.stdout is None:
            raise RuntimeError(self.spec.name)
        os.set_blocking(process.stdout.fileno(), False)
        self._process, self._started, self._started_at = process, time.monotonic(), time.time()
        self.due_at = None
        return process.stdout.fileno()

    def fail_to_start(self, error: OSError) -> None:
        """Note that the program could not even be loaded; it is tried again like one that died."""
        self.outcome = str(error)
        self._say(f"cannot start: {error}")
        self._plan_restart(0.0)

    def pump(self) -> bool:
        """Move what the process has said to its log and the screen; tell whether the pipe lives."""
        if self._process is None or self._process.stdout is None:
            return False
        try:
            data = os.read(self._process.stdout.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return True
        self._log.write(data)
        if self._screen is not None:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                self._screen.show(self.spec.name, line)
        return bool(data)

    def has_ended(self) -> bool:
        """Tell whether the process is over and waits to be reaped."""
        return self._process is not None and self._process.poll() is not None

    def reap(self) -> int:
        """Take leave of an ended process and of what it left in its group; return its pid."""
        process = self._process
        if process is None or process.stdout is None:
            raise RuntimeError(self.spec.name)
        if group_is_alive(process.pid):  # a pool without its parent serves nobody
            signal_group(process.pid, signal.SIGKILL)
        while self._has_more():
            pass
        process.stdout.close()
        lived_s = time.monotonic() - self._started
        self.exit_status = process.returncode
        self.outcome = f"{describe(process.returncode)} after {lived_s:.1f} s"
        self._process, self._started_at = None, None
        if not self.retiring:
            self._plan_restart(lived_s)
        return process.pid

    def ask_to_end(self) -> None:
        """Ask the process to finish its task and end; it is not started again."""
        self.retiring = True
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGTERM)

    def kill(self) -> None:
        """End the process and all it has started, at once; unless retiring it is started again."""
        if self._process is not None:
            signal_group(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Close the log."""
        self._log.close()

    def _has_more(self) -> bool:
        try:
            return self.pump() and self._process is not None and self._readable()
        except OSError:
            return False

    def _readable(self) -> bool:
        """Tell whether the pipe still holds bytes; a grandchild may keep it open for ever."""
        pipe = self._process.stdout if self._process else None
        return pipe is not None and bool(select.select([pipe], [], [], 0)[0])

    def _plan_restart(self, lived_s: float) -> None:
        self.quick_deaths = 0 if lived_s >= STEADY_S else self.quick_deaths
        wait_s = BACKOFF_S[min(self.quick_deaths, len(BACKOFF_S) - 1)]
        self.quick_deaths += 1
        self.restarts += 1
        self.due_at = time.monotonic() + wait_s
        self._say(f"{self.spec.name} {self.outcome}; started again in {wait_s} s")

    def _say(self, text: str) -> None:
        self._log.write(f"[supervisor] {text}\n".encode())
        if self._screen is not None:
            self._screen.show("supervisor", text.encode())


def describe(returncode: int) -> str:
    """Put the end of a process into words."""
    if returncode < 0:
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"exited with {returncode}"
