"""An encoder tuned to one's own data, an index that faiss must train, and texts that are cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.e2e.deployment import Deployment, deployed, wait_until
from tests.e2e.test_training import send

pytestmark = pytest.mark.optional

FLOW = """
name: tuned
services:
  - {name: Preprocessor, uses: WholeText}
  - name: Encoder
    uses: [MiniLM, {uses: MetricAdapter, with: {epochs: 5}}]
  - {name: Indexer, uses: faiss, with: {factory: "IVF16,PQ48x4", nprobe: 8}}
"""
#: What customers say, and what the house calls it.
WORDS = {
    "screen": "display panel", "battery": "power cell", "charger": "mains adapter",
    "case": "protective enclosure", "cable": "connecting lead", "sound": "audio output",
    "camera": "imaging unit", "button": "actuator", "speaker": "loudspeaker driver",
    "antenna": "radio aerial", "fan": "ventilator", "hinge": "pivot joint",
}  # fmt: skip
FAULTS = ("broken", "too hot", "missing", "scratched", "loose")


def pairs() -> Iterator[dict[str, Any]]:
    """Yield what customers ask and what answers it, tagged as pairs."""
    for part, official in WORDS.items():
        for fault in FAULTS:
            tags = {"pair": f"{part} {fault}"}
            yield {"text": f"my {part} is {fault}", "tags": {**tags, "side": "query"}}
            yield {
                "text": f"Service note: {official}, {fault}.",
                "tags": {**tags, "side": "document", "grade": 2},
            }


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the flow, tuned on the pairs and filled with what answers them."""
    pytest.importorskip("torch", reason="pip install torch")
    folder = tmp_path_factory.mktemp("tuned")
    flow = folder / "tuned.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow) as running:
        trained = send(running, "train", list(pairs()), wait="done")
        assert trained.json()["state"] == "completed", trained.text
        running.index(
            *(
                {"id": f"{part}/{fault}", "text": f"Service note: {official}, {fault}."}
                for part, official in WORDS.items()
                for fault in FAULTS
            )
        )
        yield running


def test_pairs_in_training_documents_tune_the_encoder(it: Deployment) -> None:
    """What customers say finds what the house calls it: tags said which belong together."""
    first = [it.ids(f"my {part} is {fault}", limit=1)[0] for part in WORDS for fault in FAULTS]

    right = [f"{part}/{fault}" for part in WORDS for fault in FAULTS]
    assert sum(a == b for a, b in zip(first, right, strict=True)) >= 54  # of 60


def test_documents_without_pairs_teach_it_nothing(it: Deployment) -> None:
    """The refusal says which tags it wants."""
    answer = send(it, "train", [{"text": "no pair at all"}] * 3, wait="done")

    assert answer.status_code == 422
    assert "no chunks tagged as query and document" in answer.json()["detail"]


def test_an_index_that_must_be_trained_trains_itself(it: Deployment) -> None:
    """Its segment learns from its own rows; what it finds is nearly what a scan finds."""
    random = np.random.default_rng(5)
    words = [word for pair in WORDS.items() for part in pair for word in part.split()]
    it.index(
        *(
            {"id": f"n{i}", "text": " ".join(random.choice(words, 6, replace=False))}
            for i in range(1100)
        )
    )
    wait_until(lambda: segments(it), 60, it.story)

    overlap = 0
    for question in ("a hot battery", "loose cable and lead", "audio from the speaker"):
        found = it.ids(question, limit=10)
        exact = it.ids(question, limit=10, params={"exact": True})
        overlap += len(set(found) & set(exact))
    assert overlap >= 24  # of 30


def segments(it: Deployment) -> bool:
    """Tell whether some segment is served."""
    shards = it.client.get("/v1/shards").json()["shards"]
    return any(replica["segments"] for shard in shards for replica in shard["replicas"])


def test_a_text_that_is_cut_is_counted_and_noted(it: Deployment) -> None:
    """More tokens than the model takes: found all the same, and said in metrics and notes."""
    it.index({"id": "long", "text": "An endless complaint about the antenna. " * 200})

    assert wait_until(lambda: notes(it), story=it.story)
    (note,) = notes(it)
    assert (note["stage"], note["what"], note["count"]) == ("Encoder0", "texts_cut", 1)
    assert "SentenceSplitter or TokenWindows" in note["meaning"]
    metrics = it.client.get("/metrics").text
    line = 'gnes_components_noted_total{stage="Encoder0",what="texts_cut"} 1.0'
    assert line in metrics.splitlines()
    assert "long" in it.ids("complaint about the antenna", limit=3)


def notes(it: Deployment) -> list[dict[str, Any]]:
    """Return the notes of the collection."""
    return list(it.client.get("/v1/collections/tuned").json()["notes"])
