"""Workers as typed: ``celery -A app worker -Q encode`` and nothing more."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.supervisor.broker import free_port
from tests.e2e.deployment import ROOT, Deployment, wait_until


@contextmanager
def typed(
    it: Deployment, log: Path, *arguments: str, how: signal.Signals = signal.SIGTERM
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``celery -A app ...`` as somebody would type it beside the running deployment."""
    environment = {**it.environment, "GNES_DATA_DIR": str(it.folder / "d")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app", *arguments],
            cwd=ROOT, env=environment, stdout=file, stderr=file,
        )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(how)
        process.wait(timeout=30)


def test_a_worker_as_typed_joins_and_shares_the_work(
    text_deployment: Deployment, tmp_path: Path
) -> None:
    """It finds the broker, loads its model once, says what it serves, and takes tasks."""
    it = text_deployment
    log = tmp_path / "worker.log"

    def workers() -> list[dict[str, object]]:
        found = it.client.get("/v1/workers").json()["workers"]
        return [worker for worker in found if worker["queues"] == ["encode"]]

    with typed(it, log, "worker", "-Q", "encode") as process:
        wait_until(lambda: len(workers()) == 2, story=log.read_text)
        for n in range(60):
            it.search(f"question number {n}", limit=1)
        # It says what it did with its next heartbeat.
        mine = wait_until(
            lambda: [one for one in workers() if one["pid"] == process.pid and one["tasks_done"]]
        )[0]

    assert str(mine["name"]).startswith(f"encode-{process.pid}@")
    assert "serving" in log.read_text()
    wait_until(lambda: len(workers()) == 1)


def test_a_queue_that_the_flow_lacks_is_refused_by_name(
    text_deployment: Deployment, tmp_path: Path
) -> None:
    """A typing error is told at once, with the nearest name and all names."""
    log = tmp_path / "worker.log"

    with typed(text_deployment, log, "worker", "-Q", "encoder") as process:
        status = process.wait(timeout=60)

    text = log.read_text()
    assert status == 2
    assert "no queue 'encoder' (did you mean 'encode'?)" in text
    assert "search.text.1" in text


@pytest.mark.slow
def test_flower_shows_workers_and_tasks_by_name(
    text_deployment: Deployment, tmp_path: Path
) -> None:
    """``celery -A app flower`` and no further command: workers, tasks by name, queues."""
    it = text_deployment
    log = tmp_path / "flower.log"
    url = f"http://127.0.0.1:{free_port()}"
    wanted = {"gnes.preprocess.query", "gnes.encode.query", "gnes.search", "gnes.reduce"}

    def told(path: str) -> dict[str, Any]:
        try:
            answer = httpx2.get(url + path, timeout=20)
        except httpx2.TransportError:
            return {}
        return dict(answer.json()) if answer.status_code == httpx2.codes.OK else {}

    def names() -> set[str]:
        it.search("a question", limit=1)
        return {task["name"] for task in told("/api/tasks").values()}

    arguments = ("flower", f"--port={url.rpartition(':')[2]}", "--address=127.0.0.1")
    # Its HTTP API needs a login, or this variable; its pages, which show the same, do not.
    it.environment["FLOWER_UNAUTHENTICATED_API"] = "true"
    with typed(it, log, *arguments):
        wait_until(lambda: wanted <= names(), 60, log.read_text)
        workers = set(told("/api/workers"))
        queues = {row["name"] for row in told("/api/queues/length")["active_queues"]}
        page = httpx2.get(f"{url}/broker").text

    assert {node.split("@")[0] for node in workers} >= {"encode-1", "search-text-0-1", "reduce-1"}
    assert queues >= {"encode", "search.text.0", "reduce"}
    assert "search.text.0" in page
