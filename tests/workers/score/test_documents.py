"""From chunk hits to ranked documents (cases 14.4)."""

import time
from typing import Any

import numpy as np
import pytest

from workers.component import ChunkHits, Explanation, Reducer, ScoreFunction
from workers.registry import create
from workers.score.documents import Scoring
from workers.testing import ReducerContract


@pytest.mark.parametrize("name", ["sum", "avg", "max", "min", "multiply"])
class TestEveryReducer(ReducerContract):
    """Every built-in reducer keeps the contract."""

    @pytest.fixture
    def reducer(self, name: str) -> Reducer:
        """One of them."""
        return create(name, kind=Reducer)


def scoring(reducer: str = "sum", chunk: str | None = None, document: str | None = None) -> Scoring:
    """Return a scoring of components by name."""
    return Scoring(
        create(reducer, kind=Reducer),
        create(chunk, kind=ScoreFunction) if chunk else None,
        create(document, kind=ScoreFunction) if document else None,
    )


@pytest.fixture
def shards(hits_of: Any) -> ChunkHits:
    """The hits of GNES's two shards: documents 1, 2, 1 and 1, 2, 3 (14.4)."""
    hits: ChunkHits = hits_of(
        [0.1, 0.2, 0.3, 0.2, 0.2, 0.3], documents=[1, 2, 1, 1, 2, 3], positions=[1, 2, 3, 1, 2, 3]
    )
    return hits


@pytest.mark.parametrize(
    ("reducer", "expected"),
    [
        ("sum", {1: 0.6, 2: 0.4, 3: 0.3}),
        ("avg", {1: 0.2, 2: 0.2, 3: 0.3}),
        ("max", {1: 0.3, 2: 0.2, 3: 0.3}),
        ("min", {1: 0.1, 2: 0.2, 3: 0.3}),
        ("multiply", {1: 0.006, 2: 0.04, 3: 0.3}),
    ],
)
def test_chunks_are_reduced_to_documents(
    shards: ChunkHits, reducer: str, expected: dict[int, float]
) -> None:
    """Every way to reduce, over hits of several shards (14.4)."""
    ranking = scoring(reducer).rank(shards)

    found = dict(zip(ranking.documents.tolist(), ranking.scores.tolist(), strict=True))
    assert found == {key: pytest.approx(value) for key, value in expected.items()}


def test_documents_come_best_first_then_by_number(shards: ChunkHits) -> None:
    """Scores fall (0.0.28's order); equal ones are ordered by document."""
    assert scoring("sum").rank(shards).documents.tolist() == [1, 2, 3]
    assert scoring("avg").rank(shards).documents.tolist() == [3, 1, 2]
    assert scoring("max").rank(shards).documents.tolist() == [1, 3, 2]


def test_any_groups_are_reduced() -> None:
    """Chunks of two shards by document and offset: .1 + .5 and .2; a group without values is 0."""
    total = create("sum", kind=Reducer)

    values = total.reduce(np.array([0.1, 0.2, 0.5]), np.array([0, 1, 0]), 3)

    assert values == pytest.approx([0.6, 0.2, 0.0])
    best = create("max", kind=Reducer).reduce(np.array([-0.5]), np.array([1]), 2)
    assert best.tolist() == [0.0, -0.5]


def test_a_document_knows_its_hits(shards: ChunkHits) -> None:
    """The operands of each document are its own hits, in the order they came (14.4)."""
    ranking = scoring("sum").rank(shards)

    assert [rows.tolist() for rows in ranking.members()] == [[0, 2, 3], [1, 4], [5]]


def test_queries_do_not_mix(hits: ChunkHits) -> None:
    """Several queries are scored at once, each by itself."""
    ranking = scoring("sum", "WeightedChunk", "WeightedDocument").rank(hits)

    assert ranking.queries.tolist() == [0, 0, 1, 1]
    assert ranking.documents.tolist() == [0, 1, 2, 1]
    assert ranking.scores == pytest.approx(
        [0.9 * 0.15 + 0.1 * 0.35, 0.5 * 0.1 * 2, 0.85 * 0.5, -0.3 * 0.1 * 2]
    )


@pytest.mark.parametrize("document", [None, "WeightedDocument", "CoordDocument"])
@pytest.mark.parametrize("reducer", ["sum", "avg", "max", "min", "multiply"])
def test_an_explanations_root_is_the_score(
    hits: ChunkHits, reducer: str, document: str | None
) -> None:
    """For every document the tree's root is its score, to 1e-6, down to the relevances."""
    way = scoring(reducer, "WeightedChunk", document)
    ranking = way.rank(hits)

    for query, number, score, rows in zip(
        ranking.queries, ranking.documents, ranking.scores, ranking.members(), strict=True
    ):
        tree = way.explain(hits, query=int(query), document=int(number))
        leaves = [leaf.value for leaf in relevances(tree)]
        assert tree.value == pytest.approx(score, abs=1e-6)
        assert leaves == pytest.approx(hits.values[rows].tolist())


def test_explaining_what_was_not_found_is_a_key_error(hits: ChunkHits) -> None:
    """A document that no chunk of the query found has no explanation."""
    with pytest.raises(KeyError):
        scoring().explain(hits, query=0, document=2)


def test_no_hits_give_no_documents(hits_of: Any) -> None:
    """An empty answer of all shards is an empty ranking."""
    for chunk in (None, "BM25", "WeightedChunk"):
        assert len(scoring("max", chunk).rank(hits_of([])).scores) == 0


def test_scoring_64_queries_of_1000_hits_is_fast(hits_of: Any) -> None:
    """64 000 hits are scored, reduced and ranked in tens of milliseconds, all at once."""
    random = np.random.default_rng(5)
    hits = hits_of(
        random.random(64_000).tolist(),
        queries=np.repeat(np.arange(64), 1000).tolist(),
        documents=random.integers(0, 50_000, 64_000).tolist(),
        query_weights=random.random(64_000).tolist(),
    )
    way = scoring("sum", "WeightedChunk", "WeightedDocument")

    took = min(timed(way, hits) for _ in range(3))

    assert took < 1.0  # idle: about 30 ms; wide, since the machine is shared


def timed(way: Scoring, hits: ChunkHits) -> float:
    """Return the seconds one ranking takes."""
    started = time.perf_counter()
    way.rank(hits)
    return time.perf_counter() - started


def relevances(tree: Explanation) -> list[Explanation]:
    """Return the leaves that are the index's own scores."""
    if tree.name == "relevance" and not tree.operands:
        return [tree]
    return [leaf for operand in tree.operands for leaf in relevances(operand)]
