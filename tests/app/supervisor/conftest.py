"""A small program that runs a supervisor, so that tests can end it in every way there is."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.supervisor.undertaker import wait_until

REPOSITORY = Path(__file__).parents[3]
PROGRAM = textwrap.dedent("""
    import sys
    from pathlib import Path
    from app.supervisor.deployment import DataFolder
    from app.supervisor.process import ProcessSpec
    from app.supervisor.supervisor import Supervisor

    folder = DataFolder(Path(sys.argv[1]))
    scratch = folder.path / "scratch"
    lock = folder.hold()
    scratch.mkdir(exist_ok=True)
    grace_s = float(sys.argv[2])
    with Supervisor(folder.logs, scratch, grace_s=grace_s, keep_open=(lock,)) as supervisor:
        for number, script in enumerate(sys.argv[3:]):
            supervisor.add(ProcessSpec(f"p{number}", ("sh", "-c", script), group="workers"))
        print("up", flush=True)
        supervisor.run()
""")


class Running:
    """A supervisor in a process of its own, with what its children wrote."""

    def __init__(self, folder: Path, scripts: tuple[str, ...], grace_s: float) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(folder), str(grace_s), *scripts],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "up\n"

    def pids(self, name: str, count: int = 1) -> list[int]:
        """Wait for a file to which the children have written so many process ids."""
        path = self.folder / name
        assert wait_until(lambda: path.exists() and len(path.read_text().split()) >= count, 10)
        return [int(word) for word in path.read_text().split()]

    def log(self, name: str) -> str:
        """Return what a child has said."""
        return (self.folder / "logs" / f"{name}.log").read_text()

    def end(self) -> None:
        """Make sure that nothing stays behind when a test has failed."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Start a supervisor over shell scripts; each may use $D, the folder of the test."""
    os.environ["D"] = str(tmp_path)
    started: list[Running] = []

    def start(*scripts: str, grace_s: float = 2.0) -> Running:
        started.append(Running(tmp_path, scripts, grace_s))
        return started[-1]

    yield start
    for running in started:
        running.end()
    del os.environ["D"]


def is_gone(pid: int) -> bool:
    """Tell whether a process has ended; a zombie that nobody reaps has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def all_gone() -> Callable[[list[int]], bool]:
    """Wait until processes have ended; tell whether they have."""
    return lambda pids: wait_until(lambda: all(map(is_gone, pids)), 10)
