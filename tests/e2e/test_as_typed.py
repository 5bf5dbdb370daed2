"""Workers as typed: ``celery -A app worker -Q encode`` and nothing more."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
