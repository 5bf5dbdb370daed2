"""Elastic shards: their number changes under load, and nothing is lost, doubled or degraded."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLOW = """\
name: elastic
services:
  - {name: Preprocessor}
  - {name: Encoder, uses: Hashing, with: {dim: 32}}
  - - {name: Indexer, id: Near, uses: hnsw, shards: 2}
    - {name: Indexer, id: Words, uses: bm25}
"""
DOCUMENTS = 1_500  # enough that segments are built in the new bounds
TAGGED = {"must": [{"key": "n", "range": {"gte": 0}}]}  # with a filter the shards are asked


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Deployment]:
    """Run a light flow with documents in it."""
    path = tmp_path / "flow.yml"
    path.write_text(FLOW)
    with deployed(tmp_path, path) as made:
        made.index(*(document(number) for number in range(DOCUMENTS)))
        yield made


def document(number: int) -> dict[str, Any]:
    """Return a document that one query finds."""
    return {"id": f"d{number}", "text": f"number {number} of many", "tags": {"n": number}}


class Load(threading.Thread):
    """Searches and writes without a pause, and keeps what went wrong."""

    def __init__(self, it: Deployment) -> None:
        super().__init__(daemon=True)
        self._it = it
        self._client = httpx2.Client(base_url=it.url, timeout=60.0)
        self.ending = threading.Event()
        self.faults: list[str] = []
        self.searches = self.written = 0

    def run(self) -> None:
        """Search and write until told to end."""
        path = f"/v1/collections/{self._it.collection}"
        while not self.ending.is_set():
            number = self.searches % DOCUMENTS
            body = {"query": {"text": f"number {number} of many"}, "mode": "hybrid", "limit": 50}
            answer = self._client.post(f"{path}/search", json=body)
            ids = [hit["id"] for hit in answer.json().get("hits", ())]
            if answer.status_code != httpx2.codes.OK or answer.json()["coverage"]["degraded"]:
                said = {k: v for k, v in answer.json().items() if k != "hits"}
                self.faults.append(f"{time.time()}: {said}")
            elif len(set(ids)) != len(ids) or len(ids) != 50:
                self.faults.append(f"{len(set(ids))} of {len(ids)} hits are different")
            self.searches += 1
            counted = self._client.post(f"{path}/documents/count", json={"filter": TAGGED})
            if counted.status_code != httpx2.codes.OK or counted.json()["count"] < DOCUMENTS:
                self.faults.append(f"{time.time()}: counted {counted.text}")
            new = [document(DOCUMENTS + self.written)]
            self._client.post(f"{path}/documents", json=new).raise_for_status()
            self.written += 1
        self._client.close()


@contextmanager
def load(it: Deployment) -> Iterator[Load]:
    """Keep the deployment busy for the length of the block."""
    thread = Load(it)
    thread.start()
    try:
        yield thread
    finally:
        thread.ending.set()
        thread.join(timeout=60)


def layout(it: Deployment) -> dict[str, int]:
    """Return how many shards serve each index."""
    rows = it.client.get("/v1/shards").json()["shards"]
    return {row["index"]: row["of"] for row in rows if row["serves"]}


def count(it: Deployment) -> int:
    """Count the documents in the shards."""
    path = f"/v1/collections/{it.collection}/documents/count"
    return int(it.client.post(path, json={"filter": TAGGED}).json()["count"])


def searchers(it: Deployment) -> set[str]:
    """Return the names of the search workers that run."""
    return {name for name in it.pids() if name.startswith("search-")}


def test_shards_change_under_load_and_nothing_is_missing(it: Deployment) -> None:
    """Two become five, five become one: every answer is whole, every document there once.

    So are counts, which are asked of the shards as searches are.
    """
    with load(it) as busy:
        done = it.ask_by_command("reshard", "5", "--index", "near")
        assert done.returncode == 0, done.stderr
        assert done.stdout == "completed: 6 shards\n"
        assert layout(it) == {"near": 5, "words": 1}
        five = searchers(it)
        assert it.ask_by_command("reshard", "1").returncode == 0
        assert layout(it) == {"near": 1, "words": 1}
        wait_until(lambda: len(searchers(it)) == 2, 60, it.story)

    assert busy.faults == []
    assert busy.searches > 20
    assert len(five) == 6
    everything = DOCUMENTS + busy.written
    wait_until(lambda: count(it) == everything, story=lambda: f"{count(it)} of {everything}")
    assert it.ids(f"number {DOCUMENTS} of many", limit=1) == [f"d{DOCUMENTS}"]
    assert it.client.get("/readyz").status_code == httpx2.codes.OK


def test_the_number_outlives_a_restart_until_the_flow_says_another(it: Deployment) -> None:
    """What was asked for stays; an edited flow is a wish like any other."""
    assert it.ask_by_command("reshard", "3", "--index", "near").returncode == 0
    it.stop()

    it.start()
    assert layout(it) == {"near": 3, "words": 1}
    it.stop()

    it.flow.write_text(FLOW.replace("shards: 2", "shards: 4"))
    it.start()
    wait_until(lambda: layout(it) == {"near": 4, "words": 1}, story=it.story)
    assert count(it) == DOCUMENTS


def test_what_cannot_be_resharded_is_refused_in_words(it: Deployment) -> None:
    """Unknown indexes, numbers out of range, a second change, a shard that is not there."""
    path = f"/v1/collections/{it.collection}/reshard"

    unknown = it.client.post(path, json={"shards": {"nera": 2}})
    assert unknown.status_code == httpx2.codes.BAD_REQUEST
    assert "did you mean 'near'" in unknown.text
    assert it.client.post(path, json={"shards": 0}).status_code == httpx2.codes.BAD_REQUEST

    it.run("scale", "build=0")  # so that the change lasts
    wait_until(lambda: "build" not in it.pids())
    first = it.client.post(path, json={"shards": {"near": 3}})
    assert first.status_code == httpx2.codes.ACCEPTED
    assert it.client.post(path, json={"shards": {"near": 3}}).json()["id"] == first.json()["id"]
    assert it.client.post(path, json={"shards": {"near": 4}}).status_code == httpx2.codes.CONFLICT
    time.sleep(1.5)
    assert layout(it) == {"near": 2, "words": 1}
    rows = it.client.get("/v1/shards").json()["shards"]
    assert {row["of"] for row in rows if not row["serves"]} == {3}
    assert it.client.get("/readyz").status_code == httpx2.codes.OK
    it.run("scale", "build=1")
    wait_until(lambda: layout(it)["near"] == 3, 90, it.story)

    # A worker for a shard that nobody will ever ask says so and ends.
    assert "has 3 shards" in _start_a_worker(it, "search.elastic.7")


ASK_OF_SEVEN = """
import time
import numpy as np
from app.celery import app
from compose.plan import Plan
from compose.wire import codec, names
from compose.wire.messages import QueryBatch, Reply, SearchParams
from compose.wire.scatter import scatter

plan = Plan.from_dict(app.conf.gnes["plan"])
now = time.time()
batch = QueryBatch(
    "batch", "asker", plan.collection, now + 20, 1, SearchParams(asked=(0,)).to_wire(),
    ((0, 0, 7), (0, 1, 2)), owners=np.zeros(1, np.int32), weights=np.ones(1, np.float32),
    embeddings={plan.indexes[0].vector: np.ones((1, 32), np.float32)}, sent_at=now,
)
scatter(app, plan, batch)
raw = app.backend.client.blpop(names.reply_key("asker"), timeout=20)[1]
reply = Reply.from_wire(codec.loads(raw))
print(reply.shards_ok, reply.shards_total, reply.is_outdated, len(reply.hits), *reply.errors)
"""


def test_a_query_that_is_for_another_layout_is_told_apart(it: Deployment) -> None:
    """The API learns that it is to ask again; a worker of today never answers for yesterday."""
    environment = {
        **it.environment,
        "GNES_DATA_DIR": str(it.folder / "d"),
        "GNES_FLOW": str(it.flow),
    }

    asked = subprocess.run(
        [sys.executable, "-c", ASK_OF_SEVEN],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.startswith("1 2 True 1 shard 0: shard 0 of 7 in generation 0 is not served")


def _start_a_worker(it: Deployment, queue: str) -> str:
    """Start a worker as it is typed, and return what it says until it ends."""
    environment = {**it.environment, "GNES_DATA_DIR": str(it.folder / "d")}
    command = [sys.executable, "-m", "celery", "-A", "app", "worker", "-Q", queue]
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return ended.stdout + ended.stderr
