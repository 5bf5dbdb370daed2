"""The metric adapter: pairs that belong together come nearer."""

import numpy as np
import pytest

from workers.component import Chunk, Encoder
from workers.encode.metric_adapter import MetricAdapter
from workers.errors import TrainingError
from workers.testing import TrainableContract, vectors
from workers.vectors import unit_rows

pytest.importorskip("torch", reason="torch is optional; pip install torch")
pytestmark = pytest.mark.optional

RANDOM = np.random.default_rng(3)
TOPICS = unit_rows(RANDOM.normal(size=(60, 8)))


def noisy(rows: np.ndarray) -> np.ndarray:
    """Put the topics in 8 of 24 dimensions, strong noise in the others."""
    return unit_rows(np.hstack([rows, RANDOM.normal(size=(len(rows), 16)) * 0.35]))


QUERIES, DOCUMENTS = noisy(TOPICS), noisy(TOPICS)


def tagged(first: int, last: int) -> list[Chunk]:
    """Return queries and documents of some topics as training chunks."""
    return [
        Chunk(place, array=rows[place], tags={"pair": place, "side": side})
        for side, rows in (("query", QUERIES), ("document", DOCUMENTS))
        for place in range(first, last)
    ]


def found_first(queries: np.ndarray, documents: np.ndarray) -> float:
    """Return the share of queries whose own document comes first."""
    return float(((queries @ documents.T).argmax(axis=1) == np.arange(len(queries))).mean())


class TestMetricAdapter(TrainableContract):
    """The adapter keeps the contract of learning."""

    @pytest.fixture
    def untrained(self) -> Encoder:
        """One that has learnt nothing."""
        return MetricAdapter(epochs=3)

    @pytest.fixture
    def another(self) -> Encoder:
        """Another of the same options."""
        return MetricAdapter(epochs=3)

    @pytest.fixture
    def training(self) -> list[Chunk]:
        """Pairs to learn from."""
        return tagged(0, 20)


def test_pairs_it_has_not_seen_come_nearer() -> None:
    """Learnt on 40 topics, it finds more documents of 20 others: it learnt which axes matter."""
    adapter = MetricAdapter(pull=0.01, epochs=150, learning_rate=0.01)
    before = found_first(QUERIES[40:], DOCUMENTS[40:])

    adapter.train(tagged(0, 40))

    after = found_first(adapter.transform(QUERIES[40:]), adapter.transform(DOCUMENTS[40:]))
    assert after > before + 0.1


def test_a_strong_pull_keeps_what_the_encoder_knows() -> None:
    """Held at the identity, the map changes next to nothing."""
    adapter = MetricAdapter(pull=1e4, epochs=20, learning_rate=1e-4)

    adapter.train(tagged(0, 40))

    assert adapter.transform(QUERIES) == pytest.approx(QUERIES, abs=0.02)


def test_vectors_without_pairs_are_refused() -> None:
    """The error says what the training chunks must carry."""
    with pytest.raises(TrainingError, match="tagged as query and document"):
        MetricAdapter().train(vectors(QUERIES))
    with pytest.raises(TrainingError, match="1 queries with an answer are too few"):
        MetricAdapter().train(tagged(0, 1))
