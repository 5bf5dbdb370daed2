"""A real deployment for tests: ``gnes up`` in a process of its own, on its own port and folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2

from app.supervisor.broker import free_port

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0
STOP_S = 40.0
PATIENCE_S = 30.0


class Deployment:
    """A running deployment, and what a test does to it."""

    def __init__(self, folder: Path, flow: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.flow = flow
        self.port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("GNES_")},
            **environment,
        }
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx2.Client(base_url=self.url, timeout=60.0)
        self.process: subprocess.Popen[bytes] | None = None
        self.collection = self._name()

    def start(self) -> None:
        """Start it and wait until it is ready."""
        log = (self.folder / "up.log").open("ab")
        self.process = subprocess.Popen(
            [*self.gnes("up"), str(self.flow), "--port", str(self.port)],
            cwd=ROOT, env=self.environment, stdout=log, stderr=log,
        )  # fmt: skip
        log.close()
        wait_until(self.is_ready, START_S, self.story)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(how)
        status = self.process.wait(timeout=STOP_S)
        self.process = None
        return status

    def gnes(self, *arguments: str) -> list[str]:
        """Return the command line of ``gnes`` for this deployment's folder."""
        return [
            sys.executable, "-m", "app.cli.main", *arguments, "--data-dir", str(self.folder / "d"),
        ]  # fmt: skip

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a ``gnes`` command against this deployment."""
        return subprocess.run(
            self.gnes(*arguments), cwd=ROOT, env=self.environment,
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def ask_by_command(
        self, *arguments: str, said: bytes = b"", timeout_s: float = 120.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a ``gnes`` command that asks the API of this deployment; ``said`` is its input."""
        return subprocess.run(
            [sys.executable, "-m", "app.cli.main", *arguments],
            cwd=ROOT, env={**self.environment, "GNES_SERVER": self.url},
            input=said.decode(), capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def is_ready(self) -> bool:
        """Tell whether every queue has its worker and every shard is loaded."""
        if self.process is not None and self.process.poll() is not None:
            raise AssertionError(self.story())
        try:
            return bool(self.client.get("/readyz").status_code == httpx2.codes.OK)
        except httpx2.TransportError:
            return False

    def pids(self) -> dict[str, int]:
        """Return the process id of each running process, by name."""
        status = json.loads(self.run("status", "--json").stdout)
        return {row["name"]: row["pid"] for row in status["processes"] if row["pid"]}

    def kill(self, name: str, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal to one process of the deployment; return its id."""
        pid = self.pids()[name]
        os.kill(pid, how)
        return pid

    def index(self, *documents: Mapping[str, Any], wait: str = "searchable") -> dict[str, Any]:
        """Store documents, wait, and return the answer."""
        response = self.client.post(
            f"/v1/collections/{self.collection}/documents",
            params={"wait": wait, "timeout": 60},
            json=list(documents),
        )
        response.raise_for_status()
        return dict(response.json())

    def search(self, text: str = "", **options: Any) -> dict[str, Any]:
        """Search by text, or by ``query=``, and return the answer."""
        response = self.ask(text, **options)
        response.raise_for_status()
        return dict(response.json())

    def ask(self, text: str = "", **options: Any) -> httpx2.Response:
        """Search and return the response, whatever it is."""
        body = {"query": {"text": text}, **options}
        return self.client.post(f"/v1/collections/{self.collection}/search", json=body)

    def ids(self, text: str = "", **options: Any) -> list[str]:
        """Return the ids of the hits, best first."""
        return [hit["id"] for hit in self.search(text, **options)["hits"]]

    def story(self) -> str:
        """Return the end of every log, for the message of a failing test."""
        paths = [self.folder / "up.log", *sorted((self.folder / "d" / "logs").glob("*.log"))]
        return "\n".join(
            f"--- {path.name}\n" + "\n".join(path.read_text(errors="replace").splitlines()[-15:])
            for path in paths
            if path.exists()
        )

    def _name(self) -> str:
        for line in self.flow.read_text().splitlines():
            if line.startswith("name:"):
                return line.split(":", 1)[1].strip()
        raise ValueError(self.flow)


@contextmanager
def deployed(
    folder: Path, flow: Path = ROOT / "flows" / "text.yml", **environment: str
) -> Iterator[Deployment]:
    """Run a deployment for the length of the block."""
    it = Deployment(folder, flow, environment)
    try:
        it.start()
        yield it
    finally:
        it.stop()
        it.client.close()


def wait_until(
    ready: Callable[[], Any],
    seconds: float = PATIENCE_S,
    story: Callable[[], str] = lambda: "",
) -> Any:
    """Return the first true value of ``ready``; fail with ``story`` when it takes too long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = ready()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s\n{story()}")
