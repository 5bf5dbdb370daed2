"""Trainings and reindexings whose workers are killed: nothing is lost, and the job ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from tests.chaos.audit import recover
from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PLUGIN = '''
"""PCA that takes its time to learn, and notes each time it begins."""
import pathlib, time
from workers.component import Encoder
from workers.encode.pca import PCA

class SlowPCA(PCA, Encoder):
    """Principal components, three seconds late; and slow enough to be killed at work."""

    name = "SlowPCA"
    aliases = ()

    def __init__(self, *, dim: int) -> None:
        super().__init__(dim=dim)

    def learn(self, rows):
        with pathlib.Path(__file__).with_name("began").open("a") as began:
            began.write("x")
        time.sleep(3)
        super().learn(rows)

    def transform(self, rows):
        time.sleep(0.004 * len(rows))
        return super().transform(rows)
'''
FLOW = """\
name: learning
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - name: Encoder
    uses:
      - {uses: Hashing, with: {dim: 48}}
      - {uses: SlowPCA, py_path: slow.py, with: {dim: 16}}
  - {name: Indexer, uses: hnsw, shards: 2}
"""
WORDS = ("flour", "butter", "oven", "sugar", "whisk", "dough", "vanilla", "rose", "soil", "prune")
DOCUMENTS = 1_500  # enough for the reindexing to wait for segments


def documents(count: int, prefix: str = "d") -> list[dict[str, Any]]:
    """Return small documents of four words each."""
    words = len(WORDS)
    return [
        {
            "id": f"{prefix}{n}",
            "text": " ".join(WORDS[(n * step + step) % words] for step in (1, 3, 5, 7)),
        }
        for n in range(count)
    ]


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a flow that learns."""
    folder = tmp_path_factory.mktemp("learning")
    (folder / "slow.py").write_text(PLUGIN)
    flow = folder / "learning.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow, GNES_CACHE_BYTES="0", GNES_LEASE_S="10") as running:
        yield running


def post(it: Deployment, what: str, body: Any = None) -> str:
    """Ask for a training or a reindexing; return the job."""
    response = it.client.post(f"/v1/collections/{it.collection}/{what}", json=body)
    response.raise_for_status()
    return str(response.json()["id"])


def ended(it: Deployment, job_id: str, seconds: float) -> dict[str, Any]:
    """Wait for the end of a job and return it."""
    job: dict[str, Any] = wait_until(
        lambda: (job := it.client.get(f"/v1/jobs/{job_id}").json())["state"] != "running" and job,
        seconds,
        it.story,
    )
    return job


def began(it: Deployment) -> int:
    """Return how often a training has begun."""
    notes = it.folder / "began"
    return len(notes.read_text()) if notes.exists() else 0


def generation(it: Deployment) -> int:
    """Return the generation that serves."""
    return int(it.client.get(f"/v1/collections/{it.collection}").json()["generation"])


@pytest.mark.parametrize("victim", ["build", "index", "broker"])
def test_a_training_whose_worker_is_killed_ends_all_the_same(it: Deployment, victim: str) -> None:
    """Who trains is killed, or who sent the training, or the broker: it is done once more at most.

    What was learnt serves: documents are encoded with it and found.
    """
    before = began(it)
    job_id = post(it, "train", documents(60))
    wait_until(lambda: began(it) == before + 1, 30, it.story)

    it.kill(victim)

    assert ended(it, job_id, 45)["state"] == "completed"
    assert began(it) == before + (2 if victim == "build" else 1)
    recover(it)
    it.index(*documents(20, victim))
    shown = it.ids(documents(20)[7]["text"], limit=500, timeout_ms=5000)
    assert f"{victim}7" in shown


def test_a_reindexing_whose_workers_are_killed_loses_nothing(it: Deployment) -> None:
    """One worker of each kind is killed while it runs, the builder when its segments are ordered.

    Searches are whole all the while but for the moments of a dead shard, and the job ends soon.
    """
    it.index(*documents(DOCUMENTS))
    stored = set(it.ids("flour", limit=1000, params={"exact": True}))
    before = generation(it)
    began_at = time.monotonic()

    with searches(it) as found:
        job_id = post(it, "reindex")
        for far, victim in ((200, "encode"), (500, "preprocess"), (800, "index")):
            wait_until(partial(has_come, it, job_id, far), 30, it.story)
            it.kill(victim)
        with silenced(it, "build"):
            wait_until(partial(has_come, it, job_id, DOCUMENTS), 60, it.story)
            time.sleep(1.0)  # the order of the segments has gone to nobody by now
        job = ended(it, job_id, 60)

    assert (job["state"], job["counts"]["indexed"]) == ("completed", total(it))
    after = generation(it)
    assert after > before
    assert time.monotonic() - began_at < 90
    wait_until(lambda: served(it) == {after}, story=it.story)
    assert set(it.ids("flour", limit=1000, params={"exact": True})) == stored
    assert all(one["segments"] for one in replicas(it))
    assert count(it) == total(it)
    assert found
    assert set(found) == {True}


def progress(it: Deployment, job_id: str) -> int:
    """Return how many documents the new generation has, or all when the job has ended."""
    job = it.client.get(f"/v1/jobs/{job_id}").json()
    return DOCUMENTS if job["state"] != "running" else int(job["counts"].get("indexed", 0))


def has_come(it: Deployment, job_id: str, far: int) -> bool:
    """Tell whether the new generation has so many documents."""
    return progress(it, job_id) >= far


def total(it: Deployment) -> int:
    """Return how many documents are stored."""
    states = it.client.get(f"/v1/collections/{it.collection}").json()["documents"]
    return int(states["indexed"])


def count(it: Deployment) -> int:
    """Return how many documents the shards hold."""
    path = f"/v1/collections/{it.collection}/documents/count"
    return int(it.client.post(path, json={"filter": {"must": []}}).json()["count"])


def replicas(it: Deployment) -> list[dict[str, Any]]:
    """Return what the search workers say of their shards."""
    shards = it.client.get("/v1/shards").json()["shards"]
    return [replica for shard in shards for replica in shard["replicas"]]


def served(it: Deployment) -> set[int]:
    """Return the generations that the shards announce."""
    return {replica["generation"] for replica in replicas(it)}


@contextmanager
def silenced(it: Deployment, name: str) -> Iterator[None]:
    """Stop a process, and kill it at the end: what it was sent meanwhile dies with it."""
    pid = it.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)


@contextmanager
def searches(it: Deployment) -> Iterator[list[bool]]:
    """Search by vector all the while; yield whether each answer was whole."""
    found: list[bool] = []
    stopping = threading.Event()

    def search() -> None:
        while not stopping.wait(0.1):
            answer = it.ask(query={"vector": [1.0] * 16}, timeout_ms=5000)
            found.append(answer.status_code == 200 and not answer.json()["coverage"]["degraded"])

    thread = threading.Thread(target=search)
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        thread.join()
