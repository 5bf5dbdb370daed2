"""Who is killed: any process of the deployment, and the broker also with its data."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

from app.supervisor.deployment import DataFolder
from tests.e2e.deployment import Deployment

WIPED = "broker, wiped"
ROLES = (
    "api", "preprocess", "encode", "index", "build", "search", "reduce", "broker", WIPED, "index",
    "encode",
)  # fmt: skip
BACK_S = 30.0


def kill(it: Deployment, role: str, choice: int) -> str:
    """SIGKILL one process of a role; return its name. ``choice`` picks among several."""
    name, pid = _one(it, "broker" if role == WIPED else role, choice)
    os.kill(pid, signal.SIGKILL)
    if role == WIPED:
        _wait_for_end(pid)
        for path in (it.folder / "d" / "broker").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return WIPED if role == WIPED else name


def _one(it: Deployment, role: str, choice: int) -> tuple[str, int]:
    """Return name and id of a running process of the role; a dead one is waited for."""
    end = time.monotonic() + BACK_S
    while time.monotonic() < end:
        state = DataFolder(it.folder / "d").state()
        found = [(p.name, p.pid) for p in state.processes if p.name.startswith(role) and p.pid]
        if found:
            name, pid = found[choice % len(found)]
            return name, int(pid)
        time.sleep(0.05)
    raise AssertionError(f"no process of {role} within {BACK_S:.0f} s")


def _wait_for_end(pid: int) -> None:
    status = Path(f"/proc/{pid}/stat")
    while status.exists():
        try:
            if status.read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.001)
