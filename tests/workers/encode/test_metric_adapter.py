"""The metric adapter: pairs that belong together come nearer."""

import numpy as np
import pytest

from workers.component import Chunk, Encoder
from workers.encode.metric_adapter import PULLS, Lesson, MetricAdapter
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


def test_the_pull_is_chosen_on_queries_held_back() -> None:
    """Where pairs teach something it is not the strongest; where the encoder knows all, it is."""
    told = MetricAdapter(epochs=60, learning_rate=0.01)
    told.train(tagged(0, 50))
    clean = MetricAdapter()
    pairs = tuple((place, place, 1.0) for place in range(50))
    clean.learn_pairs(QUERIES[:50], QUERIES[:50], pairs)

    assert told.chosen_pull in PULLS[:-1]
    assert clean.chosen_pull == PULLS[-1]
    assert MetricAdapter(pull=0.5).chosen_pull == 0.5


def test_a_great_many_documents_are_sampled_to_choose() -> None:
    """Answers stay, so do as many others as there is room for."""
    rows = np.eye(4, dtype=np.float32)[np.arange(20_000) % 4]
    pairs = tuple((query, 19_999 - query, 1.0) for query in range(700))

    sampled = Lesson(rows[:700], rows, pairs).sampled(np.random.default_rng(1))

    assert (len(sampled.queries), len(sampled.documents)) == (500, 5_000)
    assert len(sampled.pairs) == 500
    for query, row, _ in sampled.pairs:
        # query q is the unit vector q % 4, its answer 19 999 - q
        assert sampled.documents[row].argmax() == 3 - sampled.queries[query].argmax()


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
