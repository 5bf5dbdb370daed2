"""Let writers of one SQLite file take turns: who waits is not passed over again and again.

SQLite's own waiting sleeps and tries again, so a process that writes without pause starves the
others for seconds. Here a writer that comes back has to stand behind whoever is waiting. It is
a courtesy only: SQLite's lock stays the truth, so whoever cannot have a turn in time, or finds no
place for the lock files, goes on to SQLite without. The kernel frees a dead process's locks.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: A waiting writer looks this often; shorter than a small transaction, longer than a busy loop.
_POLL_S = 0.0005
_LONGEST_POLL_S = 0.004


class Turnstile:
    """Two file locks: the turn itself, and the place of the one who is next."""

    def __init__(self, database: Path, *, patience_s: float) -> None:
        self._next = database.with_name(database.name + "-next")
        self._turn = database.with_name(database.name + "-turn")
        self._patience_s = patience_s

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn, and end it on leaving."""
        try:
            next_, turn = self._open(self._next), self._open(self._turn)
        except OSError:
            yield
            return
        try:
            self._wait(next_, turn)
            yield
        finally:
            # Said outright: closing alone would leave the lock with a child forked meanwhile.
            fcntl.flock(turn, fcntl.LOCK_UN)
            os.close(turn)
            os.close(next_)

    def _wait(self, next_: int, turn: int) -> None:
        deadline = time.monotonic() + self._patience_s
        try:
            if _locked(next_, deadline):
                _locked(turn, deadline)
        finally:
            fcntl.flock(next_, fcntl.LOCK_UN)

    def _open(self, path: Path) -> int:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def _locked(descriptor: int, deadline: float) -> bool:
    poll_s = _POLL_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(poll_s)
            poll_s = min(2 * poll_s, _LONGEST_POLL_S)
        else:
            return True
