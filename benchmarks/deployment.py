"""A deployment of its own for a benchmark: started as a user would, stopped to the last process."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
ACCEPT_BATCH = 1_000  # documents a request while filling


@dataclass(frozen=True, slots=True)
class Deployment:
    """What a benchmark needs of a running deployment."""

    url: str
    collection: str
    data_dir: Path

    def call(
        self, method: str, path: str, body: Any = None, *, content_type: str = "application/json"
    ) -> Any:
        """Send one request and return the answer's JSON.

        Raises:
            urllib.error.HTTPError: the deployment refused it.
        """
        request = urllib.request.Request(  # noqa: S310 - our own deployment
            self.url + path,
            data=body if isinstance(body, bytes) else json.dumps(body).encode(),
            method=method,
            headers={"content-type": content_type},
        )
        with urllib.request.urlopen(request, timeout=600) as response:  # noqa: S310
            return json.load(response)

    def write(self, documents: Sequence[Mapping[str, Any]]) -> str:
        """Have documents accepted; return the job's id."""
        path = f"/v1/collections/{self.collection}/documents"
        return str(self.call("POST", path, list(documents))["job_id"])

    def search(self, request: Mapping[str, Any]) -> Any:
        """Ask one question."""
        return self.call("POST", f"/v1/collections/{self.collection}/search", request)

    def shards(self) -> list[dict[str, Any]]:
        """Return what the search workers say of their shards."""
        workers = self.call("GET", "/v1/workers")["workers"]
        return [shard for worker in workers for shard in worker["shards"]]

    def wait_searchable(self, documents: int, timeout_s: float = 1_800.0) -> None:
        """Wait until the shards show this many documents.

        Raises:
            TimeoutError: they did not in time.
        """
        self._wait(
            lambda shards: sum(shard["documents"] for shard in shards) >= documents,
            f"{documents} searchable documents",
            timeout_s,
        )

    def wait_built(self, timeout_s: float = 1_800.0, most_fresh: int = 999) -> None:
        """Wait until segments hold all but ``most_fresh`` rows a shard, which are scanned.

        Raises:
            TimeoutError: they did not in time.
        """
        self._wait(
            lambda shards: all(shard["delta_rows"] <= most_fresh for shard in shards),
            "segments that hold all rows",
            timeout_s,
        )

    def _wait(self, is_done: Any, what: str, timeout_s: float) -> None:
        end = time.monotonic() + timeout_s
        while not ((shards := self.shards()) and is_done(shards)):
            if time.monotonic() > end:
                raise TimeoutError(f"no {what} after {timeout_s:.0f} s: {shards}")
            time.sleep(0.05)

    def scale(self, **counts: int) -> None:
        """Run so many workers of each queue, and wait until they are there."""
        words = [f"{queue}={count}" for queue, count in counts.items()]
        cli = [sys.executable, "-m", "app.cli.main", "scale", *words]
        subprocess.run(
            [*cli, "--data-dir", str(self.data_dir)],
            cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        while self._consumers(counts) != counts:
            time.sleep(0.1)

    def _consumers(self, counts: Mapping[str, int]) -> dict[str, int]:
        workers = self.call("GET", "/v1/workers")["workers"]
        return {q: sum(q in one["queues"] for one in workers) for q in counts}

    def processes(self) -> list[dict[str, Any]]:
        """Return the supervisor's account of the processes: name, pid, queue, restarts."""
        state = json.loads((self.data_dir / "state.json").read_text())
        return list(state["processes"])

    def pid_of(self, name: str) -> int:
        """Return the process id of one of them."""
        return next(int(one["pid"]) for one in self.processes() if one["name"] == name)


def end_on_terminate() -> None:
    """Let SIGTERM end this program as Ctrl-C does, so that what it started is stopped."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))


@contextmanager
def deployed(flow: str, environment: Mapping[str, str] | None = None) -> Iterator[Deployment]:
    """Run a deployment of this flow text on a free port and in a folder that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="gnes-bench-"))
    flow_file = folder / "flow.yml"
    flow_file.write_text(flow)
    data_dir, port = folder / "data", free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("GNES_")}
    env |= {"PYTHONPATH": str(REPOSITORY), **(environment or {})}
    cli = [sys.executable, "-m", "app.cli.main"]
    up = ["up", str(flow_file), "--data-dir", str(data_dir), "--port", str(port), "--detach"]
    try:
        subprocess.run([*cli, *up], env=env, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
        try:
            url = f"http://127.0.0.1:{port}"
            with urllib.request.urlopen(f"{url}/v1/collections", timeout=10) as response:  # noqa: S310
                collection = json.load(response)["collections"][0]["name"]
            yield Deployment(url, collection, data_dir)
        finally:
            down = ["down", "--data-dir", str(data_dir)]
            subprocess.run([*cli, *down], env=env, cwd=REPOSITORY, check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
