"""One meaning, run for real: the flow decides queues, shards, workers, and what a query touches."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from app.supervisor.deployment import DataFolder
from tests.e2e import deployment
from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

PARALLEL = """\
name: wide
services:
  - {name: Preprocessor, replicas: 2}
  - {name: Encoder, uses: Hashing, with: {dim: 32}, replicas: 2}
  - - {name: Indexer, id: Near, uses: exact, shards: 3, replicas: 2}
    - {name: Indexer, id: Words, uses: bm25, shards: 2}
"""
SHARDS = {f"search.wide.{shard}": 2 for shard in range(3)} | {
    f"search.wide.words.{shard}": 1 for shard in range(2)
}
WORKERS = {"preprocess": 2, "encode": 2, "index": 1, **SHARDS, "reduce": 1, "build": 1}
PARTIAL = {
    "preprocessing only": "name: cut\nservices:\n  - {name: Preprocessor, replicas: 2}\n",
    "training an encoder": (
        "name: learn\nservices:\n  - {name: Preprocessor, replicas: 3}\n"
        "  - {name: Encoder, uses: Hashing}\n"
    ),
}
_HEARTBEATS_S = 2.5
TEXTS = ["red roses in the garden", "a train to the sea", "soup of green peas", "a red train"]


@contextmanager
def running(folder: Path, flow: str) -> Iterator[Deployment]:
    """Run a flow given as text."""
    path = folder / "flow.yml"
    path.write_text(flow)
    with deployed(folder, path) as it:
        yield it


def workers_by_queue(it: Deployment) -> Counter[str]:
    """Count the workers that announced themselves, by queue."""
    workers = it.client.get("/v1/workers").json()["workers"]
    return Counter(queue for worker in workers for queue in worker["queues"])


def broker_queues(it: Deployment) -> set[str]:
    """Return the queues that consumers have bound in the broker."""
    url = DataFolder(it.folder / "d").state().broker_url
    with redis.Redis.from_url(url) as broker:
        bound = broker.smembers("_kombu.binding.gnes")
    return {entry.decode().split(":")[0] for entry in bound}  # key:pattern:queue


def tasks_by_queue(it: Deployment) -> Counter[str]:
    """Return how many tasks the workers of each queue have done."""
    done: Counter[str] = Counter()
    for worker in it.client.get("/v1/workers").json()["workers"]:
        for queue in worker["queues"]:
            done[queue] += worker["tasks_done"]
    return done


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run two of each stage, three shards twice, and two full-text shards beside them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(deployment, "START_S", 300.0)  # seventeen processes on whatever machine
        with running(tmp_path_factory.mktemp("wide"), PARALLEL) as it:
            it.index(*({"id": f"d{n}", "text": text} for n, text in enumerate(TEXTS)))
            yield it


def test_exactly_the_queues_and_workers_of_the_flow_exist(wide: Deployment) -> None:
    """The broker, the workers' own announcements and the supervisor agree with the file."""
    processes = DataFolder(wide.folder / "d").state().processes
    started = Counter(process.queue for process in processes if process.queue)

    assert workers_by_queue(wide) == started == Counter(WORKERS)
    assert broker_queues(wide) == set(WORKERS)


def test_every_shard_is_served_by_its_replicas(wide: Deployment) -> None:
    """Three shards by two workers each, two by one; all documents are in each index once."""

    def documents(index: str) -> int:
        rows = wide.client.get("/v1/shards").json()["shards"]
        return sum(row["replicas"][0]["documents"] for row in rows if row["index"] == index)

    rows = wide.client.get("/v1/shards").json()["shards"]
    assert {row["queue"]: len(row["replicas"]) for row in rows} == SHARDS
    # Announced at the next heartbeat.
    wait_until(lambda: documents("near") == documents("words") == len(TEXTS))
    assert wide.ids("garden", mode="text") == ["d0"]


def test_a_query_touches_each_shard_once(wide: Deployment) -> None:
    """One task on every shard's queue, whichever replica takes it, and one reduction."""
    wait_until(lambda: _is_quiet(wide))
    before = tasks_by_queue(wide)

    answer = wide.search("a red train", mode="hybrid", limit=2)

    def touched() -> Counter[str]:
        return tasks_by_queue(wide) - before

    once = Counter({"preprocess": 1, "encode": 1, "reduce": 1} | dict.fromkeys(SHARDS, 1))
    wait_until(lambda: touched() == once, story=lambda: str(touched()))
    assert answer["coverage"] == {"shards_total": 5, "shards_ok": 5, "degraded": False}
    assert answer["hits"][0]["id"] == "d3"


def _is_quiet(it: Deployment) -> bool:
    """Tell whether nothing was done between two heartbeats."""
    before = tasks_by_queue(it)
    time.sleep(_HEARTBEATS_S)
    return tasks_by_queue(it) == before


@pytest.mark.parametrize("flow", PARTIAL.values(), ids=PARTIAL.keys())
def test_a_flow_without_an_indexer_runs(tmp_path: Path, flow: str) -> None:
    """Documents are accepted, pass the stages and end their job; a search is refused in words."""
    with running(tmp_path, flow) as it:
        done = it.index(*({"id": f"d{n}", "text": text} for n, text in enumerate(TEXTS)))
        job = it.client.get(f"/v1/jobs/{done['job_id']}").json()
        refused = it.ask("a red train")
        health = it.client.get("/v1/collections").json()["collections"][0]

        assert (job["state"], job["counts"]["indexed"]) == ("completed", len(TEXTS))
        assert refused.status_code == 422
        assert "it has no indexes" in refused.json()["detail"]
        assert (health["status"], health["documents"]["indexed"]) == ("green", len(TEXTS))


def test_encoders_one_after_the_other_all_encode_documents_as_queries(tmp_path: Path) -> None:
    """Documents and queries pass both: a text finds its like by 64 bits, not by 64 numbers."""
    flow = (
        "name: chain\nservices:\n  - {name: Preprocessor}\n"
        "  - {name: Encoder, uses: Hashing, with: {dim: 64}}\n"
        "  - {name: Encoder, uses: Binarizer}\n"
        "  - {name: Indexer, uses: binary}\n"
    )
    with running(tmp_path, flow) as it:
        it.index(*({"id": text, "text": text} for text in TEXTS))

        hits = [it.search(text, limit=1, with_vector=True)["hits"][0] for text in TEXTS]

    assert [hit["id"] for hit in hits] == TEXTS
    assert {hit["score"] for hit in hits} == {1.0}
    assert {len(hit["chunks"][0]["vector"]) for hit in hits} == {8}
