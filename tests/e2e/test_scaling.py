"""Workers come and go under load: ``gnes scale`` on a running deployment drops no task."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLOW = """\
name: scaled
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 32}}
  - {name: Indexer, uses: exact}
"""
DOCUMENTS = 1_500
STEPS = ("encode=3", "preprocess=2", "encode=1", "preprocess=1", "encode=2")


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Deployment]:
    """Run a light flow whose messages hold four documents, so that there are many of them."""
    path = tmp_path / "flow.yml"
    path.write_text(FLOW)
    with deployed(tmp_path, path, GNES_DOCUMENT_BATCH="4", GNES_CACHE_BYTES="0") as made:
        yield made


def test_no_task_is_dropped_while_workers_come_and_go(it: Deployment) -> None:
    """Every document is indexed at its first attempt, however the number of workers changes."""
    accepted = it.index(
        *({"id": f"d{n}", "text": f"document number {n}. It is short."} for n in range(DOCUMENTS)),
        wait="no",
    )
    at_work = threading.Event()

    outputs = []
    for step in STEPS:
        outputs.append(it.run("scale", step).stdout)
        at_work.wait(1.5)  # new workers start, retiring ones end, documents flow on

    def job() -> dict[str, object]:
        return dict(it.client.get(f"/v1/jobs/{accepted['job_id']}").json())

    wait_until(lambda: job()["state"] == "completed", 120, it.story)
    assert outputs[0] == "encode: 1 -> 3\n"
    assert outputs[-1] == "encode: 1 -> 2\n"
    assert _most_attempts(it) == 1
    assert it.ids("document number 7", limit=1)
    wait_until(lambda: _encoders(it) == 2)


def _most_attempts(it: Deployment) -> int:
    """Return how often the ledger had to send the most troubled document."""
    with sqlite3.connect(f"file:{it.folder / 'd' / 'gnes.db'}?mode=ro", uri=True) as ledger:
        return int(ledger.execute("SELECT max(attempts) FROM documents").fetchone()[0])


def _encoders(it: Deployment) -> int:
    """Count the encode workers that run."""
    rows = json.loads(it.run("status", "--json").stdout)["processes"]
    return [row["queue"] for row in rows].count("encode")
