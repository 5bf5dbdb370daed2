"""Rendered files are run, and what they start answers a query."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx2
import pytest

from app.supervisor.broker import free_port
from compose.render.targets import render_file
from tests.servers.valkey import Valkey

FLOW = Path("flows/text.yml")
READY_S = 90.0

Environment = Mapping[str, str]
Runner = Callable[[Environment, Path], AbstractContextManager[None]]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


@contextmanager
def by_shell(environment: Environment, folder: Path) -> Iterator[None]:
    """Run the rendered script; ending it must end everything it started."""
    script = folder / "run.sh"
    script.write_text(render_file(FLOW, "shell"), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["bash", str(script)], env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM


@contextmanager
def by_procfile(environment: Environment, folder: Path) -> Iterator[None]:
    """Run each line of the rendered Procfile as any foreman would."""
    lines = render_file(FLOW, "procfile").splitlines()[1:]
    with (folder / "log").open("wb") as log:
        running = [
            subprocess.Popen(
                ["sh", "-c", f"exec {line.partition(': ')[2]}"],
                env=environment,
                stdout=log,
                stderr=log,
            )
            for line in lines
        ]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(timeout=60)


@pytest.mark.parametrize("run", [by_shell, by_procfile])
def test_what_a_rendered_file_starts_answers_a_query(run: Runner, tmp_path: Path) -> None:
    """Broker beside it, nothing else set up: documents go in, and are found."""
    port = free_port()
    broker = Valkey(tmp_path, free_port())
    broker.start()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("GNES_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GNES_BROKER_URL": broker.url,
        "GNES_DATA_DIR": str(tmp_path / "data"),
        "GNES_FLOW": str(FLOW.resolve()),
        "GNES_HOST": "127.0.0.1",
        "GNES_PORT": str(port),
    }
    try:
        with run(environment, tmp_path):
            found = _asked(f"http://127.0.0.1:{port}", tmp_path / "log")
    finally:
        broker.stop()

    assert found == ["rose"]


def _asked(url: str, log: Path) -> list[str]:
    """Index two documents, search, and return the ids of the hits."""
    with httpx2.Client(base_url=url, timeout=60.0) as client:
        _wait_until_ready(client, log)
        documents = [
            {"id": "rose", "text": "A rose is a red flower."},
            {"id": "bus", "text": "The bus leaves at noon."},
        ]
        client.post(
            "/v1/collections/text/documents", params={"wait": "searchable"}, json=documents
        ).raise_for_status()
        body = {"query": {"text": "red flowers"}, "limit": 1}
        answer = client.post("/v1/collections/text/search", json=body).raise_for_status().json()
    return [hit["id"] for hit in answer["hits"]]


def _wait_until_ready(client: httpx2.Client, log: Path) -> None:
    end = time.monotonic() + READY_S
    while time.monotonic() < end:
        try:
            if client.get("/readyz").status_code == httpx2.codes.OK:
                return
        except httpx2.TransportError:
            pass
        time.sleep(0.2)
    raise AssertionError(log.read_text(errors="replace")[-4000:])
