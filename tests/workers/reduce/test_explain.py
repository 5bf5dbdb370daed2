"""Every way to score explains itself: the root is the hit's score, each node what it says it is."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pytest

from compose.load import load_flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.wire import codec
from compose.wire.messages import QueryBatch, SearchParams, ShardPart
from indexstore.model import LiveDocument
from indexstore.shard import Shard
from tests.indexstore.shard_bed import Bed, Stored
from workers.component import Floats, Reranker
from workers.reduce.answer import Answerer
from workers.reduce.ranking import rankings_of, scorings_of
from workers.reduce.reranking import SecondStage
from workers.runtime import index_config
from workers.score.formula import MODES
from workers.score.modifiers import MODIFIERS
from workers.search.tasks import answer_of

QUERIES = 3
LIMIT = 8
RANDOM = np.random.default_rng(11)
FLOW = """
name: explained
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 8}}
  - - {name: Indexer, id: near, uses: exact, with: {score: %(reduce)s, metric: %(metric)s}}
    %(second)s
score: %(score)s
"""
SECOND = "- {name: Indexer, id: far, uses: exact, with: {metric: l2}}"
ALL = {"reduce": "sum", "metric": "cosine", "second": "", "score": "{}"}
WEIGHTED = "{fusion: weighted, weights: {near: 0.7, far: 0.3}}"
CONSTANT = "{uses: Constant, with: {value: 0.1}}"
FUNCTIONS = (
    "{document: WeightedDocument}",
    "{score_fn: [WeightedChunk, CoordChunk, CoordDoc]}",
    "{chunk: {uses: WeightedChunk, with: {mode: avg}}, document: Relevance}",
    "{normalize_fn: Normalizer1}",
    "{normalize_fn: {uses: Normalizer2, with: {dim: 8}}, chunk: WeightedChunkOffset}",
    "{normalize_fn: {uses: Normalizer3, with: {dim: 8}}}",
    "{normalize_fn: {uses: Normalizer4, with: {num_bytes: 8}}, document: CoordDocument}",
    "{normalize_fn: Normalizer5, score_fn: WeightedDoc}",
    "{chunk: {uses: TFIDF, with: {threshold: 0.1}}}",
    "{chunk: {uses: BM25, with: {threshold: 0.1, k1: 1.5}}}",
    f"{{chunk: {{uses: Combined, with: {{mode: max, operands: [WeightedChunk, {CONSTANT}]}}}}}}",
    *(f"{{chunk: {{uses: Modifier, with: {{modifier: {way}, factor: 2}}}}}}" for way in MODIFIERS),
)  # fmt: skip
CASES = [
    *({"reduce": way, "metric": metric} for way, metric in itertools.product(
        ("sum", "avg", "max", "min", "multiply"), ("cosine", "ip", "l2"))),
    *({"second": SECOND, "score": score, "reduce": way} for score, way in itertools.product(
        ("{}", "{rank_constant: 10}", WEIGHTED), ("sum", "max"))),
    *({"score": score, "reduce": way} for score, way in itertools.product(
        FUNCTIONS, ("sum", "avg"))),
    *({"score": score, "reduce": way} for score, way in itertools.product(
        FUNCTIONS[:4], ("max", "min", "multiply"))),
    {"second": SECOND, "score": "{chunk: BM25, document: WeightedDocument}"},
]  # fmt: skip


class Vowels(Reranker):
    """How many vowels a text shares with the query."""

    def rerank(self, query: str, texts: Sequence[str]) -> Floats:
        """Return the counts."""
        return np.array([sum(text.count(one) for one in set(query)) for text in texts], np.float32)


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    """Twenty documents of one to five chunks, chunks and documents weighted."""
    made = Bed(tmp_path_factory.mktemp("explained"))
    made.put(
        {
            f"document {'aeiou'[i % 5] * i}": Stored(
                RANDOM.normal(size=(1 + i % 5, 8)).astype(np.float32),
                RANDOM.random(1 + i % 5, np.float32),
                0.5 + i % 3,
            )
            for i in range(20)
        }
    )
    return made


def parts_of(bed: Bed, plan: Plan, params: SearchParams) -> list[ShardPart]:
    """Return what the shards of every index answer, as ``reduce`` gets it."""
    rows = np.random.default_rng(12).normal(size=(2 * QUERIES, 8)).astype(np.float32)
    batch = QueryBatch(
        "b", "", plan.collection, 2e9, QUERIES, params.to_wire(), (),
        embeddings={"": rows},
        owners=np.repeat(np.arange(QUERIES, dtype=np.int32), 2),
        weights=np.tile(np.array([0.4, 0.6], np.float32), QUERIES),
    )  # fmt: skip
    parts = []
    for index, described in enumerate(plan.indexes):
        shard = Shard.open(bed.place(index_config(described)))
        asked = QueryBatch.from_wire({**batch.to_wire(), "target": (index, 0, 1)})
        parts.append(ShardPart.from_wire(codec.loads(answer_of(asked, shard, plan, 0.0))))
    return parts


def hits_of(bed: Bed, plan: Plan, reranker: Reranker | None = None) -> list[dict[str, Any]]:
    """Return the explained hits of all queries."""
    params = SearchParams(limit=LIMIT, explain=True, group_size=99, mode="hybrid")
    parts = parts_of(bed, plan, params)
    live = {
        name: LiveDocument(2**40, 0, {"text": name}, {}, one.weight)
        for name, one in bed.stored.items()
    }
    answerer = Answerer(params, live, plan, lambda _: {})
    stage = SecondStage((reranker,) if reranker else (), 50)
    hits: list[dict[str, Any]] = []
    for ranking in rankings_of(parts, QUERIES, params, plan, scorings_of(plan)):
        rows, _ = answerer.hits(stage.rerank(ranking, "aei", live, LIMIT), "")
        hits += orjson.loads(rows)
    return hits


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_node_is_what_its_operands_make(bed: Bed, case: Mapping[str, str]) -> None:
    """From the root, which is the score to 1e-6, down to the leaves."""
    plan = plan_of(load_flow(FLOW % {**ALL, **case}))

    hits = hits_of(bed, plan)

    assert len(hits) == QUERIES * LIMIT
    for hit in hits:
        tree = hit["explanation"]
        assert tree["value"] == pytest.approx(hit["score"], abs=1e-6)
        for node in nodes_of(tree):
            assert node["name"]
            expected = recomputed(node, plan)
            if expected is not None:
                assert node["value"] == pytest.approx(expected, rel=1e-5, abs=1e-6), node


def test_a_reranker_s_score_stands_above_the_one_it_read_by(bed: Bed) -> None:
    """The second stage's node has the first stage's whole tree below it."""
    plan = plan_of(load_flow(FLOW % {**ALL, "second": SECOND, "score": WEIGHTED}))

    for hit in hits_of(bed, plan, Vowels()):
        tree = hit["explanation"]
        below = tree["operands"][0]
        assert (tree["name"], tree["value"]) == ("Vowels", hit["score"])
        assert tree["doc"] == "How many vowels a text shares with the query."
        assert below["name"] == "weighted fusion"
        assert below["value"] == pytest.approx(sum(one["value"] for one in below["operands"]))


def nodes_of(tree: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a tree's nodes, the root first."""
    return [tree, *(node for one in tree.get("operands") or () for node in nodes_of(one))]


def recomputed(node: Mapping[str, Any], plan: Plan) -> float | None:
    """Return what a node's operands make by its name; None of a leaf, and of what ranks decide."""
    name, operands = str(node["name"]), node.get("operands") or ()
    if name.startswith("place in"):
        return place(node, plan)
    if not operands:
        return None
    values = np.array([one["value"] for one in operands])
    params = {**(node.get("params") or {}), **{one["name"]: one["value"] for one in operands}}
    formula = FORMULAS.get(name)
    if formula is not None:
        return float(formula(values[0], params))
    mode = "sum" if name.endswith("fusion") else name if name in MODES else "multiply"
    return float(MODES[params.get("mode", mode)](values))


def place(node: Mapping[str, Any], plan: Plan) -> float | None:
    """Return what a place in a ranking gives by ranks."""
    if node["rank"] is None or plan.score.get("fusion") == "weighted":
        return None
    return float(node["weight"] / (plan.score.get("rank_constant", 60) + node["rank"]))


def bm25(value: float, params: Mapping[str, Any]) -> float:
    """Return a value times its BM25."""
    held = params["k1"] * (1 - params["b"] + params["b"] * params["relative length"])
    gain = params["tf"] * (params["k1"] + 1) / (params["tf"] + held)
    return float(value * params["idf"] * gain)


FORMULAS: Mapping[str, Callable[[float, Mapping[str, Any]], Any]] = {
    "Modifier": lambda s, p: MODIFIERS[p["modifier"]](np.array(p["factor"] * s)),
    "Normalizer1": lambda s, _: 1 / (1 + max(s, 0) ** 0.5),
    "Normalizer2": lambda s, p: 1 / (1 + s / p["dim"]),
    "Normalizer3": lambda s, p: 1 / (1 + max(s, 0) ** 0.5 / p["dim"]),
    "Normalizer4": lambda s, p: 1 - s / p["num_bytes"],
    "Normalizer5": lambda s, _: 1 / (1 + abs(s) ** 0.5),
    "TFIDF": lambda s, p: s * p["tf"] * p["idf"] ** 2,
    "BM25": bm25,
}
