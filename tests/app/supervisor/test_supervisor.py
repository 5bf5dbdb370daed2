"""The supervisor keeps processes alive and leaves none behind."""

import os
import signal
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from app.supervisor.deployment import DataFolder
from app.supervisor.undertaker import wait_until

Start = Callable[..., Any]
Gone = Callable[[list[int]], bool]

FAMILY = "sleep 1000 & echo $! >> $D/pids; echo $$ >> $D/pids; wait"
STUBBORN = "trap '' TERM; sleep 1000 & echo $! >> $D/pids; echo $$ >> $D/pids; wait; wait"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_the_end_of_the_supervisor_ends_children_and_grandchildren(
    supervise: Start, all_gone: Gone, number: signal.Signals
) -> None:
    """However the supervisor ends, no process that it or its children started lives on."""
    running = supervise(FAMILY, FAMILY)
    pids = running.pids("pids", 4)

    running.process.send_signal(number)
    running.process.wait(15)

    assert all_gone(pids)
    assert wait_until(lambda: not (running.folder / "scratch").exists(), 5)


def test_a_process_that_ignores_being_asked_is_killed(supervise: Start, all_gone: Gone) -> None:
    """A child that does not end when asked is killed with its group after the grace time."""
    running = supervise(STUBBORN)
    pids = running.pids("pids", 2)
    began = time.monotonic()

    running.process.terminate()
    running.process.wait(15)

    assert all_gone(pids)
    assert time.monotonic() - began > 1.5


def test_a_second_signal_does_not_wait(supervise: Start, all_gone: Gone) -> None:
    """Whoever presses Ctrl-C twice wants the end now."""
    running = supervise(STUBBORN, grace_s=60.0)
    pids = running.pids("pids", 2)
    began = time.monotonic()

    running.process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    running.process.send_signal(signal.SIGINT)
    running.process.wait(30)

    assert all_gone(pids)
    assert time.monotonic() - began < 30


def test_a_clean_end_lets_a_process_finish(supervise: Start) -> None:
    """A child that is asked to end may finish what it does first."""
    running = supervise("trap 'sleep 0.5; echo done >> $D/done; exit 0' TERM; echo $$ >> $D/pids;"
                        " while :; do sleep 0.05; done")  # fmt: skip
    running.pids("pids")

    running.process.terminate()

    assert running.process.wait(15) == 0
    assert (running.folder / "done").read_text() == "done\n"


def test_a_process_that_dies_is_started_again(supervise: Start) -> None:
    """A child that was killed runs again within about half a second."""
    running = supervise("echo $$ >> $D/pids; sleep 1000")
    (first,) = running.pids("pids")

    began = time.monotonic()
    os.kill(first, signal.SIGKILL)
    pids = running.pids("pids", 2)

    assert pids[1] != first
    assert time.monotonic() - began > 0.4
    assert "was ended by SIGKILL" in running.log("p0")


def test_restarts_slow_down(supervise: Start) -> None:
    """A child that dies at once is tried after 0.5, 1, 2... seconds, not in a hot loop."""
    running = supervise("date +%s.%N >> $D/starts; exit 7")

    path = running.folder / "starts"
    assert wait_until(lambda: path.exists() and len(path.read_text().split()) >= 4, 30)

    starts = [float(line) for line in path.read_text().split()[:4]]
    waits = [after - before for before, after in pairwise(starts)]
    assert all(wait >= least for wait, least in zip(waits, (0.45, 0.95, 1.95), strict=True))
    assert "exited with 7" in running.log("p0")


def test_what_a_dead_leader_leaves_is_ended_before_its_restart(
    supervise: Start, all_gone: Gone
) -> None:
    """The pool of a parent that died is killed: it would serve nobody, and hold its files."""
    running = supervise("sleep 1000 & echo $! >> $D/left; echo $$ >> $D/leaders; exit 1")
    running.pids("leaders", 2)

    assert all_gone(running.pids("left", 2)[:1])


def test_a_program_that_does_not_exist_is_reported_and_tried_again(supervise: Start) -> None:
    """A command that cannot be loaded is said in the log; the others run on."""
    running = supervise("exec /no/such/program", "echo $$ >> $D/pids; sleep 1000")

    running.pids("pids")

    assert wait_until(lambda: "started again" in running.log("p0"), 5)


def test_words_after_the_last_line_break_are_kept(supervise: Start) -> None:
    """What a process says just before it dies is in its log, in order."""
    running = supervise("printf 'one\\ntwo'; echo $$ >> $D/pids; exit 3")

    running.pids("pids")

    assert wait_until(lambda: "exited with 3" in running.log("p0"), 5)
    assert running.log("p0").startswith("one\ntwo")


def test_the_lock_is_held_until_the_last_process_is_gone(supervise: Start) -> None:
    """After the supervisor was killed, its folder stays locked until its children have ended."""
    running = supervise("trap '' TERM; echo $$ >> $D/pids; sleep 1; sleep 1; echo x >> $D/ended;"
                        "sleep 1000")  # fmt: skip
    running.pids("pids")
    folder = DataFolder(running.folder)

    running.process.kill()
    running.process.wait()

    assert folder.is_held()
    assert folder.wait_until_free(10)
