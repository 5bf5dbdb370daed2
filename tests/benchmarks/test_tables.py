"""The benchmarks still run, at a size that says nothing of speed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = [
    ("scale", "--rows", "600", "--engine", "hnsw", "sq8", "ivfpq", "--seconds", "0.02"),
    ("filters", "--rows", "3000", "--queries", "8"),
    ("scoring", "--documents", "300", "--rounds", "1"),
]
IMPORTED = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def test_every_benchmark_finds_what_it_imports() -> None:
    """A name that moved is missed when the code changes, not when somebody wants a figure."""
    names = [f"benchmarks.{path.stem}" for path in sorted(Path("benchmarks").glob("*.py"))]

    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *names], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


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
    head, _, *rows = [line.count("|") for line in done.stdout.splitlines() if "|" in line]
    assert rows
    assert set(rows) == {head}
