"""Keeps a set of processes alive until it is told to stop, and leaves none behind.

One thread does everything: it waits for what the processes say, for signals, for commands and for
the moment a dead process may be started again. So every child is forked from the main thread, which
the kernel's death signal needs, and no lock is ever held across a fork.
"""

import contextlib
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Self

from app.supervisor import undertaker
from app.supervisor.control import ControlSocket, Handler
from app.supervisor.logs import Screen
from app.supervisor.process import Child, ProcessSpec, ProcessStatus

GRACE_S = 20.0
"""How long processes may finish what they are doing when the deployment stops."""
ORPHAN_GRACE_S = 5.0
"""How long they may when the supervisor was killed: nobody waits for their work any more."""
TICK_S = 0.25


class Supervisor:
    """Starts processes, restarts those that die, and ends them all; a context manager."""

    def __init__(
        self,
        logs: Path,
        scratch: Path,
        *,
        screen: Screen | None = None,
        grace_s: float = GRACE_S,
        keep_open: Sequence[int] = (),
        on_change: Callable[["Supervisor"], None] = lambda _: None,
        on_death: Callable[[ProcessSpec], None] = lambda _: None,
    ) -> None:
        self._logs, self._scratch, self._screen = logs, scratch, screen
        self._grace_s, self._keep_open = grace_s, tuple(keep_open)
        self._on_change, self._on_death = on_change, on_death
        self._children: dict[str, Child] = {}
        self._selector = selectors.DefaultSelector()
        self._stop_signals = 0
        self._changed = True
        self._undertaker: subprocess.Popen[bytes] | None = None
        self._registry = -1
        self._control: ControlSocket | None = None

    def __enter__(self) -> Self:
        self._previous = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
        }
        self._wake_read, self._wake_write = socket.socketpair()
        for end in (self._wake_read, self._wake_write):
            end.settimeout(0)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, self._drain_wakeups)
        self._hire_undertaker()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        signal.set_wakeup_fd(-1)
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self._control is not None:
            self._control.close()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()
        os.close(self._registry)
        if self._undertaker is not None:
            self._undertaker.wait(self._grace_s + ORPHAN_GRACE_S)

    @property
    def is_stopping(self) -> bool:
        """Whether a signal or a command has asked for the end."""
        return self._stop_signals > 0

    def statuses(self) -> list[ProcessStatus]:
        """Tell what each process is doing, in the order in which they were added."""
        return [child.status for child in self._children.values()]

    def child(self, name: str) -> Child:
        """Return one supervised process by its name."""
        return self._children[name]

    def children(self) -> Iterator[Child]:
        """Yield all supervised processes."""
        yield from self._children.values()

    def request_stop(self) -> None:
        """Ask the loop to end; a second request ends the processes without waiting for them."""
        self._stop_signals += 1

    def add(self, spec: ProcessSpec) -> Child:
        """Take a process into care and start it."""
        child = Child(spec, self._logs / f"{spec.name}.log", self._screen)
        self._children[spec.name] = child
        self._start(child)
        return child

    def retire(self, name: str) -> None:
        """Let a process finish its task and end, and forget it then."""
        self._children[name].ask_to_end()
        self._changed = True

    def serve(self, path: Path, handlers: dict[str, Handler]) -> None:
        """Take commands on a unix socket: each is one JSON line, and so is its answer."""
        self._control = ControlSocket(path, handlers)
        self._selector.register(self._control, selectors.EVENT_READ, self._control.answer)

    def watch(self, stream: int, on_end: Callable[[], None]) -> None:
        """Call a function when a stream, such as standard input, has come to its end."""

        def read() -> None:
            if not os.read(stream, 4096):
                self._selector.unregister(stream)
                on_end()

        self._selector.register(stream, selectors.EVENT_READ, read)

    def run(self, tick: Callable[[], bool] = lambda: True) -> None:
        """Look after the processes until asked to stop, or until ``tick`` returns false."""
        while not self.is_stopping and tick():
            self.turn(TICK_S)

    def turn(self, timeout_s: float) -> None:
        """Do once what there is to do, waiting for it at most so long."""
        for key, _ in self._selector.select(self._patience(timeout_s)):
            key.data()
        for child in list(self._children.values()):
            self._care_for(child)
        if self._undertaker is not None and self._undertaker.poll() is not None:
            self._hire_undertaker()
        if self._changed:
            self._changed = False
            self._on_change(self)

    def stop(self) -> None:
        """End every process: first those in groups, then what serves them all, the broker."""
        self._end([child for child in self._children.values() if child.spec.group])
        self._end(list(self._children.values()))

    def _end(self, children: list[Child]) -> None:
        for child in children:
            child.ask_to_end()
        self._changed = True
        end = time.monotonic() + self._grace_s
        while any(child.is_running for child in children):
            self.turn(undertaker.POLL_S)
            if time.monotonic() > end or self._stop_signals > 1:
                for child in children:
                    child.kill()
        self.turn(0.0)  # take leave of those that ended by themselves

    def _start(self, child: Child) -> None:
        try:
            pipe = child.start(self._register)
        except OSError as error:
            child.fail_to_start(error)
        else:
            self._selector.register(pipe, selectors.EVENT_READ, lambda: self._listen(child, pipe))
        self._changed = True

    def _listen(self, child: Child, pipe: int) -> None:
        if not child.pump():
            self._selector.unregister(pipe)

    def _care_for(self, child: Child) -> None:
        if child.has_ended():
            self._bury(child)
        if child.retiring and not child.is_running:
            child.close()
            del self._children[child.spec.name]
            self._changed = True
        elif child.due_at is not None and child.due_at <= time.monotonic():
            self._start(child)

    def _bury(self, child: Child) -> None:
        if child.pipe is not None and child.pipe in self._selector.get_map():
            self._selector.unregister(child.pipe)
        self._unregister(child.reap())
        self._changed = True
        if not child.retiring:
            self._on_death(child.spec)

    def _patience(self, timeout_s: float) -> float:
        """Shorten a wait to the next moment at which a process may be started again."""
        due = [child.due_at for child in self._children.values() if child.due_at is not None]
        return max(0.0, min([timeout_s, *(at - time.monotonic() for at in due)]))

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self.request_stop()

    def _drain_wakeups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._wake_read.recv(4096)

    def _hire_undertaker(self) -> None:
        """Start the process that outlives this one just long enough to end all the others."""
        if self._registry >= 0:
            os.close(self._registry)
        read_end, self._registry = os.pipe()
        self._undertaker = subprocess.Popen(
            [sys.executable, "-I", "-S", undertaker.__file__, str(ORPHAN_GRACE_S), self._scratch],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            pass_fds=self._keep_open,
            start_new_session=True,
        )
        os.close(read_end)
        for child in self._children.values():
            if child.pid is not None:
                self._register(child.pid)

    def _register(self, pid: int) -> None:
        with contextlib.suppress(OSError):  # the undertaker has died; the next one is told of all
            os.write(self._registry, b"+%d\n" % pid)

    def _unregister(self, pid: int) -> None:
        with contextlib.suppress(OSError):
            os.write(self._registry, b"-%d\n" % pid)
