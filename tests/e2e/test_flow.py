"""The Flow of Python, started: its services run inside the block and nowhere after it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from app.client import RefusedError
from app.flow import Flow
from compose.api import BuildLevel
from compose.errors import FlowBuildLevelMismatch, FlowIncompleteError


def light() -> Flow:
    """Return the lightest flow that searches."""
    return (
        Flow("python")
        .add("Preprocessor", uses="SentenceSplitter")
        .add("Encoder", uses="Hashing", with_={"dim": 64})
        .add("Indexer", uses="exact")
    )


def texts() -> Iterator[bytes]:
    """Yield texts as GNES's users give them."""
    yield b"red roses in the garden"
    yield b"a train to the sea"


def test_a_flow_that_does_not_run_says_so() -> None:
    """Building is not starting, and an edited flow is another one."""
    with pytest.raises(FlowBuildLevelMismatch, match="RUNTIME"):
        light().build().index(texts())
    with pytest.raises(FlowBuildLevelMismatch, match="RUNTIME"):
        light().query(["roses"])


def test_an_incomplete_flow_is_refused_before_anything_starts(tmp_path: Path) -> None:
    """Nothing is written."""
    flow = Flow("empty", data_dir=tmp_path / "data")

    with pytest.raises(FlowIncompleteError), flow:
        pass

    assert not (tmp_path / "data").exists()


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_flow_indexes_and_answers_inside_its_block(tmp_path: Path) -> None:
    """Iterables in, pairs of query and answer out; afterwards nothing listens any more."""
    flow = Flow.load(light().to_yaml())
    kept = Flow(flow.name, services=flow.services, last=flow.last, data_dir=tmp_path / "data")

    with kept as started:
        done = started.index(texts())
        one = started.index([{"id": "soup", "text": "soup of green peas"}])
        pairs = list(started.query(["red roses", {"text": "green peas"}], limit=1))
        with pytest.raises(RefusedError, match="no component of this flow learns"):
            started.train(texts())
        url, level = started.url, started.build_level

    assert (done.indexed, one.indexed, done.failures) == (2, 1, [])
    assert [query for query, _ in pairs] == ["red roses", {"text": "green peas"}]
    assert pairs[1][1]["hits"][0]["id"] == "soup"
    assert level == BuildLevel.RUNTIME
    assert kept.build_level == BuildLevel.EMPTY
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(url)


TOPICS = {
    "wing": "lift drag airfoil flap stall pressure chord camber slipstream propeller",
    "kitchen": "flour butter oven sugar whisk dough vanilla knead bake cinnamon",
    "garden": "rose soil prune compost tulip hedge seed mulch shovel blossom",
}


def learning() -> Flow:
    """Return a flow whose encoder must be trained before anything is encoded."""
    return (
        Flow("learning")
        .add("Preprocessor", uses="SentenceSplitter", replicas=2)
        .add(
            "Encoder",
            uses=[
                {"uses": "Hashing", "with": {"dim": 256}},
                {"uses": "PCA", "with": {"dim": 16}},
            ],
        )
    )


def sentences(each: int = 40) -> Iterator[dict[str, str]]:
    """Yield documents of three topics, ids by topic, one by one."""
    for topic, text in TOPICS.items():
        words = text.split()
        for number in range(each):
            chosen = [words[(number * step + step) % len(words)] for step in (1, 3, 7)]
            yield {"id": f"{topic}-{number}", "text": f"the {' and the '.join(chosen)}."}


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_flow_that_learns_is_trained_then_indexes_and_answers(tmp_path: Path) -> None:
    """All from iterables, in one block; before the training, documents fail and say why."""
    flow = learning().add("Indexer", uses="exact", shards=2)
    flow = Flow(flow.name, services=flow.services, last=flow.last, data_dir=tmp_path / "data")

    with flow as started:
        early = started.index([{"id": "early", "text": "lift and drag"}])
        job = started.train(sentences())
        done = started.index(sentences())
        answers = dict(started.query(TOPICS.values(), limit=5))
        again = started.index([{"id": "early", "text": "lift and drag"}])

    assert early.indexed == 0
    assert "must be trained before it is used" in early.failures[0].reason
    assert (job["kind"], job["state"], job["total"]) == ("train", "completed", 120)
    assert (done.indexed, again.indexed) == (120, 1)
    for topic, words in TOPICS.items():
        hits = answers[words]["hits"]
        assert len(hits) == 5
        assert sum(hit["id"].startswith(topic) for hit in hits) >= 4


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_flow_that_only_trains_is_trained(tmp_path: Path) -> None:
    """GNES's training flow, preprocessors and an encoder and nothing else."""
    flow = learning()
    flow = Flow(flow.name, services=flow.services, last=flow.last, data_dir=tmp_path / "data")

    with flow as started:
        job = started.train(text["text"].encode() for text in sentences())
        encoded = started.index(sentences(each=3))
        with pytest.raises(RefusedError, match="lacks"):
            list(started.query(["lift"]))

    assert (job["state"], encoded.indexed) == ("completed", 9)
