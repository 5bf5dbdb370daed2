"""Ends the process groups of a supervisor that died without doing it itself.

Run as a script, with the standard library alone. Its standard input is a pipe that the supervisor
(and every child, before it becomes another program) writes ``+pid`` to and never closes: the end of
that stream is the death of the supervisor, on every POSIX system and for grandchildren too, which
``PR_SET_PDEATHSIG`` alone does not give. It also inherits the lock on the data folder, so that no
second deployment starts there before the last process of this one is gone.
"""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

POLL_S = 0.02
"""How often a group is looked at while it is being waited for."""


def group_is_alive(pgid: int) -> bool:
    """Tell whether a process group has a member that is not a zombie."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    proc = Path("/proc")
    if not (proc / "self" / "stat").exists():
        return True
    return any(_belongs(entry, pgid) for entry in proc.iterdir() if entry.name.isdigit())


def _belongs(entry: Path, pgid: int) -> bool:
    """Tell whether the process of a /proc folder is a living member of the group."""
    try:
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except (OSError, UnicodeDecodeError):
        return False  # it ended while we looked
    return fields[0] not in "ZX" and int(fields[2]) == pgid


def signal_group(pgid: int, number: signal.Signals) -> None:
    """Send a signal to every member of a group; one that is gone is no error."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pgid, number)


def bury(pgids: set[int], *, grace_s: float) -> None:
    """End process groups: ask their leaders, wait for ``grace_s`` at most, then kill the rest.

    Only the leader is asked: a Celery parent ends its pool after the task in hand, and a TERM to
    the pool would take the task from under it.
    """
    for pgid in pgids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pgid, signal.SIGTERM)
    wait_until(lambda: not any(map(_leader_is_alive, pgids)), grace_s)
    for pgid in pgids:
        signal_group(pgid, signal.SIGKILL)
    wait_until(lambda: not any(map(group_is_alive, pgids)), 2.0)


def _leader_is_alive(pid: int) -> bool:
    """Tell whether a group's first process still runs."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    entry = Path("/proc") / str(pid)
    return _belongs(entry, pid) if (Path("/proc") / "self" / "stat").exists() else True


def wait_until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Poll a condition until it holds or the time is over; tell which."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_S)
    return True


def attend(lines: int, *, grace_s: float, scratch: Path | None) -> None:
    """Keep the list of living groups from a pipe until it ends, then bury what is on it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    with os.fdopen(lines, "r", encoding="ascii") as stream:
        for line in stream:
            pid = int(line[1:])
            if line[0] == "+":
                groups.add(pid)
            else:
                groups.discard(pid)
    bury(groups, grace_s=grace_s)
    if scratch is not None:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    attend(
        sys.stdin.fileno(),
        grace_s=float(sys.argv[1]),
        scratch=Path(sys.argv[2]) if sys.argv[2:] else None,
    )
