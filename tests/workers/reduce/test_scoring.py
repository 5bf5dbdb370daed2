"""The flow's score functions over what real shards found: same results, new scores, true trees."""

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compose.load import load_flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.wire import codec
from compose.wire.messages import ShardPart
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from tests.indexstore.shard_bed import Bed, Stored
from workers.reduce.scoring import Rescored, scoring_of

FLOW = """
name: scored
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 8}}
  - {name: Indexer, uses: exact, with: {score: %s}}
score: %s
"""
RANDOM = np.random.default_rng(5)
QUERIES = 3


def rows(count: int) -> Any:
    """Return random directions."""
    return RANDOM.normal(size=(count, 8)).astype(np.float32)


QUESTIONS = rows(2 * QUERIES)


def plan(score: str = "{}", reduce: str = "sum") -> Plan:
    """Return the plan of a flow with such a score."""
    return plan_of(load_flow(FLOW % (reduce, score)))


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """Thirty documents of one to four chunks, weighted."""
    made = Bed(tmp_path_factory.mktemp("scored"))
    made.put(
        {
            f"d{i:02}": Stored(rows(1 + i % 4), RANDOM.random(1 + i % 4, np.float32), 1 + i % 3)
            for i in range(30)
        }
    )
    return made


def found(bed: Bed, of: Plan, shards: int = 2) -> list[ShardPart]:
    """Return the parts of all shards, as they come over the wire."""
    index = of.indexes[0]
    config = IndexConfig(
        index.name, "vector", "exact", index.options, "cosine", dim=8, shards=shards
    )
    query = ShardQuery(
        QUESTIONS,
        np.repeat(np.arange(QUERIES, dtype=np.int32), 2),
        np.tile(np.array([0.25, 0.75], np.float32), QUERIES),
        QUERIES,
        limit=30,
        pairs=True,
    )
    return [_part(bed, config, shard, query) for shard in range(shards)]


def _part(bed: Bed, config: IndexConfig, shard: int, query: ShardQuery) -> ShardPart:
    opened = Shard.open(bed.place(config, shard))
    hits, stats = opened.search(query), opened.stats()
    columns = {field.name: getattr(hits.pairs, field.name) for field in fields(hits.pairs)}
    part = ShardPart(
        0, shard, counts=hits.counts, doc_ids=tuple(hits.doc_ids), versions=hits.versions,
        scores=hits.scores,
        extra={"pairs": columns, "documents": stats.documents, "chunks": stats.chunks},
    )  # fmt: skip
    return ShardPart.from_wire(codec.loads(codec.dumps(part.to_wire())))


def rescored(bed: Bed, of: Plan, **options: Any) -> Rescored:
    """Return the candidates, scored by the flow's functions."""
    return Rescored(found(bed, of, **options), scoring_of(of, 0))


@pytest.mark.parametrize("reduce", ["sum", "avg", "max", "min", "multiply"])
def test_the_house_score_is_what_the_shards_gave(bed: Bed, reduce: str) -> None:
    """Without functions of its own a flow's scores are those of the shards, to 1e-5."""
    of = plan("{document: WeightedDocument}", reduce)
    parts = found(bed, of)
    given = {name: score for part in parts for name, score in _scores(part)}

    rankings = Rescored(parts, scoring_of(of, 0)).rankings(QUERIES)

    assert [len(ranking) for ranking in rankings] == [30] * QUERIES
    for query, ranking in enumerate(rankings):
        for one in ranking:
            assert one.score == pytest.approx(given[query, one.doc_id], abs=1e-5)


def _scores(part: ShardPart) -> Iterator[tuple[tuple[int, str], float]]:
    assert part.counts is not None
    assert part.scores is not None
    queries = np.repeat(np.arange(QUERIES), part.counts)
    for query, doc_id, score in zip(queries, part.doc_ids, part.scores, strict=True):
        yield (int(query), doc_id), float(score)


def test_a_score_function_changes_scores_and_order(bed: Bed) -> None:
    """The squares of relevances rank otherwise than the relevances."""
    usual = rescored(bed, plan("{document: WeightedDocument}")).rankings(QUERIES)[0]
    squared = rescored(
        bed, plan("{score_fn: {uses: Modifier, with: {modifier: square}}}")
    ).rankings(QUERIES)[0]

    assert all(one.score >= 0 for one in squared)
    assert [one.doc_id for one in usual] != [one.doc_id for one in squared]
    assert [one.score for one in squared] == sorted((o.score for o in squared), reverse=True)


@pytest.mark.parametrize(
    "score",
    [
        "{score_fn: CoordDoc}",
        "{normalize_fn: Normalizer5, document: WeightedDocument}",
        "{chunk: [BM25, WeightedChunkOffset]}",
        "{score_fn: {uses: Modifier, with: {modifier: ln2p}}}",
    ],
)
def test_a_tree_explains_every_score(bed: Bed, score: str) -> None:
    """The root of the explanation is the score, to 1e-6."""
    result = rescored(bed, plan(score))

    for one in result.rankings(QUERIES)[1][:5]:
        assert result.explain(one.number)["value"] == pytest.approx(one.score, abs=1e-6)


PLUG_IN = '''
import numpy as np
from workers.component import Reducer
from workers.score.formula import Formula
from workers.score.weights import Product

class Halved(Formula):
    """Half of the score."""

    def __init__(self, *, by: float = 0.5) -> None:
        self.by = by

    def formula(self, values, factors):
        return self.by * values

class Longer(Product):
    """Documents of more chunks count more."""

    scores = "documents"

    def factors(self, hits):
        return {"chunks": hits.document_chunks.astype(np.float64)}

class Second(Reducer):
    """The second best chunk, or the only one."""

    def reduce(self, values, groups, count):
        out = np.zeros(count)
        for group in range(count):
            mine = np.sort(values[groups == group])[::-1]
            out[group] = mine[min(1, len(mine) - 1)] if len(mine) else 0.0
        return out
'''


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file that brings two score functions and a reducer."""
    path = tmp_path_factory.mktemp("functions") / "mine.py"
    path.write_text(PLUG_IN)
    return str(path)


def test_functions_and_reducers_of_a_plug_in_score(bed: Bed, plug_in: str) -> None:
    """Chunks by one function, reduced by a reducer that no shard knows, documents by another."""
    score = f"{{py_path: {plug_in}, score_fn: [{{uses: Halved, with: {{by: 0.25}}}}, Longer]"
    result = rescored(bed, plan(score + ", reduce: Second}"))

    hits, quarter = result.hits, 0.25 * result.hits.values
    for one in result.rankings(QUERIES)[0]:
        mine = np.flatnonzero(hits.documents == one.number)
        second = np.sort(quarter[mine])[::-1][min(1, len(mine) - 1)]
        chunks = hits.document_chunks[mine[0]]
        assert one.score == pytest.approx(second * chunks, abs=1e-6)
        tree = result.explain(one.number)
        assert (tree["name"], tree["operands"][0]["name"]) == ("Longer", "Second")
        assert tree["value"] == pytest.approx(one.score, abs=1e-6)


def test_a_function_within_another_may_be_a_plug_in(bed: Bed, plug_in: str) -> None:
    """Operands are found in the files that the flow's score names."""
    score = f"{{py_path: {plug_in}, chunk: {{uses: Combined, with: {{mode: sum, operands: "
    result = rescored(bed, plan(score + "[Halved, {uses: Halved, with: {by: 1.5}}]}}}"))

    doubled = 2.0 * result.hits.values
    first = result.rankings(QUERIES)[0][0]
    mine = result.hits.documents == first.number
    weight = result.hits.document_weights[mine][0]
    assert first.score == pytest.approx(float(doubled[mine].sum() * weight))


def test_parts_of_pictures_weigh_by_their_places(tmp_path: Path) -> None:
    """Boxes become cells of three by three, as GNES had them; nearness is by their distance."""
    made = Bed(tmp_path)
    row = np.eye(1, 8, dtype=np.float32)
    corners = np.array([[0, 0, 30, 30], [60, 0, 90, 30], [60, 60, 90, 90]], np.float32)
    for name, boxes in {"near": corners[:1], "far": corners}.items():
        made.put_boxes(name, np.repeat(row, len(boxes), axis=0), boxes)
    of = plan("{chunk: WeightedChunkOffset}", "max")
    query = ShardQuery(
        np.repeat(row, 2, axis=0), np.zeros(2, np.int32), np.ones(2, np.float32), 1, limit=2,
        pairs=True, places=np.array([[0, 0, 10, 10], [20, 20, 30, 30]], np.float32),
    )  # fmt: skip

    (part,) = [_part(made, IndexConfig("i", engine="exact", metric="cosine", dim=8), 0, query)]
    result = Rescored([part], scoring_of(of, 0))

    hits = result.hits
    assert hits.query_cells is not None
    assert hits.chunk_cells is not None
    assert {tuple(cell) for cell in hits.query_cells.tolist()} == {(0, 0), (2, 2)}
    pairs = {
        (part.doc_ids[d], int(q), int(p)): value
        for d, q, p, value in zip(
            hits.documents, hits.query_chunks, hits.positions, of_chunks(result), strict=True
        )
    }
    assert pairs["far", 0, 0] == pytest.approx(1.0)
    assert pairs["far", 0, 1] == pytest.approx(1 / 3)
    assert pairs["far", 0, 2] == pytest.approx(1 / (1 + 8**0.5))
    assert pairs["far", 1, 2] == pytest.approx(1.0)


def of_chunks(result: Rescored) -> Any:
    """Return the score of each chunk hit."""
    assert result.scoring.chunk is not None
    return result.scoring.chunk.score(result.hits)


def test_the_answer_does_not_depend_on_the_number_of_shards(bed: Bed) -> None:
    """One shard or three: the same documents in the same order."""
    of = plan("{score_fn: {uses: Modifier, with: {modifier: square}}}")

    orders = [
        [one.doc_id for one in rescored(bed, of, shards=shards).rankings(QUERIES)[2]]
        for shards in (1, 3)
    ]

    assert orders[0] == orders[1]


def test_what_no_document_was_found_for_has_no_ranking(bed: Bed) -> None:
    """Shards without hits give empty rankings, not an error."""
    of = plan("{score_fn: CoordDoc}")
    parts = [
        replace(
            part,
            counts=np.zeros(QUERIES, np.int32),
            doc_ids=(),
            versions=np.zeros(0, np.int64),
            scores=np.zeros(0, np.float32),
            extra={
                **part.extra,
                "pairs": {name: column[:0] for name, column in part.extra["pairs"].items()},
            },
        )
        for part in found(bed, of)
    ]

    assert Rescored(parts, scoring_of(of, 0)).rankings(QUERIES) == [[], [], []]
