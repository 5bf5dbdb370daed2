"""Writers take turns."""

import os
import threading
import time
from pathlib import Path

import pytest

from indexstore.turnstile import Turnstile


@pytest.fixture
def turnstile(tmp_path: Path) -> Turnstile:
    """A turnstile whose waiters are patient."""
    return Turnstile(tmp_path / "gnes.db", patience_s=30)


def test_one_at_a_time(turnstile: Turnstile) -> None:
    """Threads and processes alike."""
    inside, seen = 0, []

    def work() -> None:
        nonlocal inside
        for _ in range(20):
            with turnstile.turn():
                inside += 1
                seen.append(inside)
                time.sleep(0.0002)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [1] * 80


def test_who_comes_back_stands_behind_who_waits(turnstile: Turnstile) -> None:
    """A writer that writes without pause lets the waiting one in after each turn."""
    order, waiting = [], threading.Event()

    def wait() -> None:
        waiting.set()
        with turnstile.turn():
            order.append("the other")

    other = threading.Thread(target=wait)
    with turnstile.turn():
        other.start()
        waiting.wait()
        time.sleep(0.1)  # it has taken the place of the next by now
    for _ in range(3):
        with turnstile.turn():
            order.append("the same again")
    other.join()

    assert order[0] == "the other"


def test_a_dead_process_holds_nobody_up(turnstile: Turnstile) -> None:
    """The kernel ends its turn."""
    child = os.fork()
    if child == 0:
        with turnstile.turn():
            os._exit(0)
    os.waitpid(child, 0)

    started = time.monotonic()
    with turnstile.turn():
        waited_s = time.monotonic() - started

    assert waited_s < 5


def test_patience_has_an_end(tmp_path: Path) -> None:
    """A stopped process that keeps its turn costs the others their patience, not their work."""
    turnstile = Turnstile(tmp_path / "gnes.db", patience_s=0.05)

    with turnstile.turn(), turnstile.turn():
        entered = True

    assert entered


def test_without_a_place_for_the_locks_nobody_waits(tmp_path: Path) -> None:
    """SQLite itself decides then."""
    with Turnstile(tmp_path / "none" / "gnes.db", patience_s=1).turn():
        entered = True

    assert entered
