"""`gnes up` in whole: real broker, workers and API; started, hurt, stopped, started again."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.client import Client
from app.supervisor.broker import free_port
from app.supervisor.deployment import DataFolder, DeploymentState
from app.supervisor.errors import NotRunningError
from app.supervisor.undertaker import group_is_alive, wait_until

REPOSITORY = Path(__file__).parents[2]
GNES = (sys.executable, "-m", "app.cli.main")
FLOW = """\
name: Small
services:
  - name: Preprocessor
    uses: SentenceSplitter
  - name: Encoder
    uses: Hashing
    with: {dim: 64}
  - name: Indexer
    uses: hnsw
    shards: 2
"""
START_S = 120.0
pytestmark = pytest.mark.timeout(240)


class Deployment:
    """One `gnes up` in the foreground, and the commands around it."""

    def __init__(self, folder: Path) -> None:
        self.flow = folder / "flow.yml"
        self.flow.write_text(FLOW)
        self.data = DataFolder(folder / "data")
        self.port = free_port()
        self.output = folder / "output.txt"

    def start(self) -> DeploymentState:
        """Start it and wait until it is ready."""
        with self.output.open("wb") as stream:
            self.process = subprocess.Popen(
                [*GNES, "up", str(self.flow), *self.options(), "--port", str(self.port)],
                cwd=REPOSITORY,
                stdout=stream,
                stderr=stream,
            )
        assert wait_until(self._is_ready, START_S), self.output.read_text()
        return self.data.state()

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run another command of ours against it."""
        return subprocess.run(
            [*GNES, *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False,
            env={**os.environ, "GNES_DATA_DIR": str(self.data.path)},
        )  # fmt: skip

    def options(self) -> list[str]:
        """The options that name its data folder."""
        return ["--data-dir", str(self.data.path)]

    def client(self) -> Client:
        """A client of its API."""
        return Client(f"http://127.0.0.1:{self.port}")

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, self.output.read_text()
        try:
            return self.data.state().is_ready
        except NotRunningError:
            return False


def pids_of(state: DeploymentState) -> list[int]:
    """The process ids, which are also the groups, of all that a deployment runs."""
    return [process.pid for process in state.processes if process.pid]


def all_gone(pids: list[int]) -> bool:
    """Tell whether all groups have ended within a short while."""
    return wait_until(lambda: not any(map(group_is_alive, pids)), 20)


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """A deployment in a folder of its own, not yet started."""
    made = Deployment(tmp_path)
    yield made
    if hasattr(made, "process") and made.process.poll() is None:
        made.process.kill()
        made.process.wait()
    made.data.wait_until_free(20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A deployment that several tests look at, and that is itself again after each."""
    made = Deployment(tmp_path_factory.mktemp("running"))
    made.start()
    yield made
    made.process.terminate()
    made.process.wait(60)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_it_ends_no_process_stays(deployment: Deployment, number: signal.Signals) -> None:
    """Ctrl-C, TERM and even KILL of the supervisor end broker, workers and API."""
    pids = pids_of(deployment.start())

    deployment.process.send_signal(number)
    code = deployment.process.wait(60)

    assert all_gone(pids)
    assert len(pids) >= 8
    assert code == (0 if number != signal.SIGKILL else -9)


def test_documents_are_found_and_survive_a_restart(deployment: Deployment) -> None:
    """What was stored before `gnes down` is found after the next `gnes up`."""
    deployment.start()
    source = deployment.flow.with_name("texts.ndjson")
    texts = ["red roses in the garden", "a train to the sea", "soup of green peas"]
    lines = [json.dumps({"id": f"d{n}", "text": text}) for n, text in enumerate(texts)]
    source.write_text("\n".join(lines))

    ingested = deployment.run("ingest", str(source))
    before = deployment.run("search", "green peas", "--limit", "1", "--json")
    stopped = deployment.run("down")
    deployment.process.wait(10)
    deployment.start()
    after = deployment.run("search", "green peas", "--limit", "1", "--json")

    assert (ingested.returncode, stopped.returncode) == (0, 0), ingested.stderr + stopped.stderr
    assert json.loads(before.stdout)["hits"] == json.loads(after.stdout)["hits"]
    assert json.loads(after.stdout)["hits"][0]["id"] == "d2"


def test_a_killed_worker_is_replaced(running: Deployment) -> None:
    """A worker that was killed runs again, and searches are answered in full by then."""
    state = running.data.state()
    victim = next(process for process in state.processes if process.queue == "encode")
    assert victim.pid is not None

    os.kill(victim.pid, signal.SIGKILL)

    def is_replaced() -> bool:
        now = next(p for p in running.data.state().processes if p.name == victim.name)
        return now.restarts == 1 and now.state == "running" and now.pid != victim.pid

    assert wait_until(is_replaced, 10)
    with running.client() as client:
        assert _eventually(lambda: client.call("GET", "/readyz", retries=8)["ready"])


def test_a_second_start_in_the_same_folder_is_refused(running: Deployment) -> None:
    """The second one says which process is there, and does not touch the first."""
    second = running.run("up", str(running.flow), "--port", str(free_port()))

    assert second.returncode == 1
    assert f"process {running.process.pid} already runs" in second.stderr
    assert running.run("status").returncode == 0


def test_a_port_in_use_is_said_before_anything_starts(deployment: Deployment) -> None:
    """The error names the port, and no process was started for nothing."""
    with socket.create_server(("127.0.0.1", deployment.port)):
        refused = deployment.run("up", str(deployment.flow), "--port", str(deployment.port))

    assert refused.returncode == 1
    assert f"port {deployment.port} on 127.0.0.1 is in use" in refused.stderr
    assert not deployment.data.is_held()


def test_a_faulty_flow_is_said_with_its_place(deployment: Deployment) -> None:
    """A flow that cannot be understood ends the start with file, line and the nearest name."""
    deployment.flow.write_text(FLOW.replace("Hashing", "Hashin"))

    refused = deployment.run("up", str(deployment.flow))

    assert refused.returncode == 2
    assert "flow.yml:6" in refused.stderr
    assert "Hashing" in refused.stderr


def test_a_fault_that_only_a_component_sees_ends_the_start_at_once(deployment: Deployment) -> None:
    """Its own words are the last, without a traceback, and it is not tried again and again."""
    deployment.flow.write_text(FLOW.replace("dim: 64", "dim: 0"))

    refused = deployment.run("up", str(deployment.flow), "--port", str(deployment.port))

    assert refused.returncode == 2
    assert refused.stderr.endswith("options of Hashing: dim must be at least 1, not 0\n")
    assert "Traceback" not in refused.stdout + refused.stderr
    assert not deployment.data.is_held()


def test_detached_status_scale_and_down(deployment: Deployment) -> None:
    """A deployment in the background is looked at, scaled and stopped by commands."""
    port = str(deployment.port)
    up = deployment.run("up", str(deployment.flow), "--detach", "--port", port)
    try:
        scaled = deployment.run("scale", "encode=2")
        grown = json.loads(deployment.run("status", "--json").stdout)["processes"]
        unknown = deployment.run("scale", "encod=2")
        deployment.run("scale", "encode=1")
        shrunk = wait_until(lambda: _encoders(deployment) == 1, 20)
    finally:
        pids = pids_of(deployment.data.state())
        down = deployment.run("down")

    assert (up.returncode, down.returncode) == (0, 0), up.stderr + down.stderr
    assert scaled.stdout == "encode: 1 -> 2\n"
    assert [p["queue"] for p in grown].count("encode") == 2
    assert "did you mean 'encode'" in unknown.stderr
    assert shrunk
    assert all_gone(pids)
    assert deployment.run("status").returncode == 3


def _encoders(deployment: Deployment) -> int:
    return [process.queue for process in deployment.data.state().processes].count("encode")


def _eventually(claim: Callable[[], bool], timeout_s: float = 30.0) -> bool:
    """Tell whether a claim comes true in time."""
    end = time.monotonic() + timeout_s
    while time.monotonic() < end:
        if claim():
            return True
        time.sleep(0.2)
    return False
