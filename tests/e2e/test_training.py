"""GNES's example chain through real processes: trained, indexed, trained again, re-encoded."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest

from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until

FLOW = """
name: chain
services:
  - name: Preprocessor
    uses: SentenceSplitter
  - name: Encoder
    uses:
      - uses: Hashing
        with: {dim: 128}
      - uses: PCALocalEncoder
        with: {output_dim: 32, num_locals: 8}
      - uses: PQEncoder
        with: {num_bytes: 8, cluster_per_byte: 16}
  - name: Indexer
    uses: binary
    shards: 2
"""
TOPICS = {
    "wing": "lift drag airfoil flap stall pressure chord camber slipstream propeller",
    "kitchen": "flour butter oven sugar whisk dough vanilla knead bake cinnamon",
    "garden": "rose soil prune compost tulip hedge seed mulch shovel blossom",
}


def texts(seed: int, each: int = 40) -> list[dict[str, Any]]:
    """Return small documents of three topics, ids by topic."""
    random = np.random.default_rng(seed)
    return [
        {
            "id": f"{topic}-{number}",
            "text": f"the {' and the '.join(random.choice(words.split(), 3, replace=False))}.",
        }
        for topic, words in TOPICS.items()
        for number in range(each)
    ]


def send(it: Deployment, what: str, body: Any = None, **params: Any) -> httpx2.Response:
    """Ask for a training or a reindexing and return the response."""
    path = f"/v1/collections/{it.collection}/{what}"
    return it.client.post(path, json=body, params={"timeout": 90, **params}, timeout=100)


def generation(it: Deployment) -> int:
    """Return the generation that serves."""
    return int(it.client.get(f"/v1/collections/{it.collection}").json()["generation"])


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the chain, not trained."""
    folder = tmp_path_factory.mktemp("chain")
    flow = folder / "chain.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow) as running:
        yield running


def test_before_training_every_use_says_how_to_mend_it(it: Deployment) -> None:
    """A query is answered by 409, a document fails with the cure in its error."""
    answer = it.ask("rose and soil")
    it.client.post(
        f"/v1/collections/{it.collection}/documents",
        params={"wait": "indexed"},
        json=[{"id": "early", "text": "a rose."}],
    )

    document = it.client.get(f"/v1/collections/{it.collection}/documents/early").json()
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "gnes train" in answer.json()["detail"]
    assert document["status"] == "failed"
    assert "gnes train" in document["error"]


def test_too_few_documents_are_refused_with_the_number_needed(it: Deployment) -> None:
    """422, and the reason says how many were needed."""
    answer = send(it, "train", [{"text": "a rose."}], wait="done")

    assert answer.status_code == 422
    assert "1 rows are fewer than its 32 dimensions" in answer.json()["detail"]


def test_once_trained_it_indexes_and_finds(it: Deployment) -> None:
    """The workers pick up what was learnt without a restart; nine of ten hits are of the topic."""
    trained = send(it, "train", texts(1), wait="done")
    it.index(*texts(2))

    assert (trained.status_code, trained.json()["state"]) == (200, "completed"), trained.text
    assert generation(it) == 1
    hits = it.ids("the rose and the soil and the tulip", limit=10)
    assert sum(hit.startswith("garden") for hit in hits) >= 8


def test_a_second_training_is_used_by_the_reindexing(it: Deployment) -> None:
    """What is stored goes on serving; the reindexing encodes it anew and swaps."""
    trained = send(it, "train", texts(3), wait="done")
    before = generation(it)
    job = send(it, "reindex", wait="done")

    assert trained.json()["state"] == "completed"
    assert before == 1
    assert (job.status_code, job.json()["state"]) == (200, "completed"), job.text
    assert job.json()["counts"]["indexed"] <= 120
    assert generation(it) == 2
    wait_until(lambda: served(it) == {2}, story=it.story)
    hits = it.ids("the rose and the soil and the tulip", limit=10)
    assert sum(hit.startswith("garden") for hit in hits) >= 8
    assert len(it.ids("the flour and the oven", limit=200)) == 120


def test_after_the_swap_writes_go_to_the_new_generation(it: Deployment) -> None:
    """A new document is encoded as the queries are."""
    it.index({"id": "fresh", "text": "the tulip and the hedge and the blossom."})

    assert "fresh" in it.ids("the tulip and the hedge and the blossom", limit=10)


def test_a_token_reads_its_write_while_a_generation_is_swapped(it: Deployment) -> None:
    """Before, during and after the swap a search with a write's token finds what was written."""
    send(it, "train", texts(5), wait="done")
    before = generation(it)
    send(it, "reindex")
    lost, written = [], 0
    until = time.monotonic() + 60

    while time.monotonic() < until:
        written += 1
        document = {"id": f"w{written}", "text": "the tulip and the hedge and the seed."}
        token = it.index(document, wait="no")["token"]
        found = it.ids(document["text"], token=token, limit=300, timeout_ms=20_000)
        if document["id"] not in found:
            lost.append(written)
        if generation(it) > before and until - time.monotonic() > 2.0:
            until = time.monotonic() + 2.0

    assert generation(it) == before + 1
    assert written > 10
    assert lost == []


def served(it: Deployment) -> set[int]:
    """Return the generations that the shards announce."""
    shards = it.client.get("/v1/shards").json()["shards"]
    return {replica["generation"] for shard in shards for replica in shard["replicas"]}


def test_a_flow_without_learners_has_nothing_to_train(text_deployment: Deployment) -> None:
    """422, before anything is stored."""
    answer = send(text_deployment, "train", [{"text": "a rose."}])

    assert answer.status_code == 422
    assert "nothing to train" in answer.json()["detail"]


def test_the_command_line_trains_and_reindexes(it: Deployment, tmp_path: Path) -> None:
    """`gnes train FILE` and `gnes reindex` wait for the end and say how it ended."""
    lines = tmp_path / "sentences.txt"
    lines.write_text("\n".join(document["text"] for document in texts(4)))
    before = generation(it)

    for arguments in (["train", str(lines)], ["reindex"]):
        done = gnes(it, *arguments)
        assert done.returncode == 0, done.stderr
        assert "completed" in done.stdout

    assert generation(it) == before + 1


def gnes(it: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command against the deployment's server."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli.main", *arguments, "--server", it.url],
        cwd=ROOT, env=it.environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_gnes_s_route_trains_on_files(it: Deployment) -> None:
    """POST /train takes a form with a file a document, and answers in GNES's frame."""
    files = [("docs", (f"{n}.txt", one["text"].encode())) for n, one in enumerate(texts(5))]

    response = it.client.post("/train", params={"wait": "done", "timeout": 90}, files=files)

    assert response.status_code == 200, response.text
    assert response.json()["meta"] is None
    result = response.json()["result"]
    assert (result["kind"], result["state"], result["total"]) == ("train", "completed", 120)
