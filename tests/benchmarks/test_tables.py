"""The benchmarks of the index store still run, at a size that says nothing of speed."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = [
    ("scale", "--rows", "600", "--engine", "hnsw", "sq8", "ivfpq", "--seconds", "0.02"),
    ("filters", "--rows", "3000", "--queries", "8"),
]


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_table_is_printed_whole(command: tuple[str, ...]) -> None:
    """Every row has all the columns of the head."""
    name, *arguments = command
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", *arguments],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    head, _, *rows = [line.count("|") for line in done.stdout.splitlines()]
    assert rows
    assert set(rows) == {head}
