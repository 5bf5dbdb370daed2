"""What do score functions cost? Their share of a search of 64 queries with 1000 chunk hits each.

Run: OMP_NUM_THREADS=1 python -m benchmarks.scoring

Documents of ten chunks in one HNSW shard; a batch of vector queries goes through the work of the
search stage (search, all pairs of chunks, packing) and of the reduce stage (unpacking, scoring,
merging, the answer's JSON) in this process, without broker and encoder, so the shares are upper
bounds. *scoring* is the functions, the reduction and the ranking; *all* is the whole batch;
*without* the same batch of a flow that names no functions. Each figure is the median of the
rounds. The target is a share of at most 5 %.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.store import BATCH, BenchStore, Vectors, row_id
from benchmarks.vectors import clustered
from compose.load import load_flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.wire import codec
from compose.wire.messages import SearchParams, ShardPart
from indexstore.model import ChunkTable, Document, LiveDocument
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from workers.reduce.answer import Answerer
from workers.reduce.merge import rank
from workers.reduce.scoring import Rescored, scoring_of
from workers.runtime import index_config

QUERIES = 64
CHUNKS = 10  # a document
CANDIDATES = 100  # documents that are judged: 1000 chunk hits a query
TARGET = 0.05
FLOW = """
name: scoring
services:
  - {name: Encoder, uses: Hashing, with: {dim: 384}}
  - {name: Indexer, uses: hnsw}
score: %s
"""
SCORES = {
    "weights alone": "{document: WeightedDocument}",
    "WeightedChunkOffset, reduced by max": "{chunk: WeightedChunkOffset, reduce: max}",
    "Normalizer5, then WeightedChunk": "{normalize_fn: Normalizer5, chunk: WeightedChunk}",
    "CoordChunk and CoordDoc": "{score_fn: [CoordChunk, CoordDoc]}",
    "TFIDF": "{chunk: {uses: TFIDF, with: {threshold: 0.3}}}",
    "BM25": "{chunk: {uses: BM25, with: {threshold: 0.3}}}",
    "Combined of three": "{chunk: {uses: Combined, with: {mode: avg, operands: "
    "[WeightedChunk, CoordChunk, {uses: Modifier, with: {modifier: ln1p}}]}}}",
}

Times = dict[str, float]


def main() -> None:
    """Fill a shard, measure each flow, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = BenchStore(Path(folder))
        fill(store, chosen.documents)
        shard = opened(store)
        print(
            f"{chosen.documents} documents, {QUERIES} queries of {CANDIDATES * CHUNKS} chunk hits"
        )
        print("\n| score functions | scoring ms | all ms | share | without ms | |")
        print("|---|--:|--:|--:|--:|---|")
        without = plan_of(load_flow(FLOW % "{}"))
        for name, score in SCORES.items():
            plan = plan_of(load_flow(FLOW % score))
            print(f"| {name} | {row_of(shard, plan, without, chosen.rounds)} |", flush=True)


def fill(store: BenchStore, documents: int) -> None:
    """Store documents of ten chunks each, of unequal weights."""
    rows = clustered(documents * CHUNKS, seed=1)
    weights = np.random.default_rng(4).dirichlet(np.ones(CHUNKS), documents).astype(np.float32)
    for start in range(0, documents, BATCH):
        block = range(start, min(start + BATCH, documents))
        store.put(
            [
                Document(row_id(n), "text", {"text": "some words"}, weight=1.0 + n % 3)
                for n in block
            ],
            [table(rows[n * CHUNKS : (n + 1) * CHUNKS], weights[n]) for n in block],
        )


def table(rows: Vectors, weights: Vectors) -> ChunkTable:
    """Return the chunks of one document."""
    positions = np.arange(len(rows), dtype=np.int32)
    spans = np.stack([positions * 40, positions * 40 + 39], axis=1)
    return ChunkTable(positions, weights, spans, None, {"": np.ascontiguousarray(rows)})


def opened(store: BenchStore) -> Shard:
    """Build the shard's segment and open it."""
    config = index_config(plan_of(load_flow(FLOW % "{}")).indexes[0])
    store.build(config)
    return store.open(config)


def row_of(shard: Shard, plan: Plan, without: Plan, rounds: int) -> str:
    """Return the cells of one flow, its rounds taken in turn with those of the plain one."""
    mine: list[Times] = []
    plain: list[Times] = []
    for _ in range(rounds + 1):  # the first warms up
        mine.append(times_of(shard, plan))
        plain.append(times_of(shard, without))
    scoring = median(one["scoring"] for one in mine[1:])
    whole = median(one["all"] for one in mine[1:])
    share = median(one["scoring"] / one["all"] for one in mine[1:])
    bare = median(one["all"] for one in plain[1:])
    missed = "" if share <= TARGET else "missed"
    return f"{1e3 * scoring:.1f} | {1e3 * whole:.0f} | {share:.1%} | {1e3 * bare:.0f} | {missed}"


def times_of(shard: Shard, plan: Plan) -> Times:
    """Send one batch through both stages; return the seconds of scoring and of all."""
    scoring = 0.0
    started = time.perf_counter()
    part = ShardPart.from_wire(codec.loads(searched(shard, plan)))
    if plan.rescores:
        again = Rescored([part], scoring_of(plan, 0))
        assert len(again.hits.values) == QUERIES * CANDIDATES * CHUNKS
        before = time.perf_counter()
        again.scoring.rank(again.hits)
        scoring = time.perf_counter() - before
        rankings = again.rankings(QUERIES)
    else:
        rankings = rank([part], QUERIES)
    answer(plan, rankings)
    return {"scoring": scoring, "all": time.perf_counter() - started - scoring}  # it ran twice


def searched(shard: Shard, plan: Plan) -> bytes:
    """Return the shard's packed part, as the search task makes it."""
    rows = clustered(QUERIES, seed=2)
    query = ShardQuery.of(rows, limit=CANDIDATES, spare=0, group_size=3, pairs=plan.rescores)
    hits, stats = shard.search(query), shard.stats()
    extra: dict[str, Any] = {}
    if hits.pairs is not None:
        columns = {field.name: getattr(hits.pairs, field.name) for field in fields(hits.pairs)}
        extra = {"pairs": columns, "documents": stats.documents, "chunks": stats.chunks}
    return codec.dumps(
        ShardPart(
            0, 0, counts=hits.counts, doc_ids=tuple(hits.doc_ids), versions=hits.versions,
            scores=hits.scores, chunk_counts=hits.chunk_counts,
            chunk_positions=hits.chunk_positions, chunk_scores=hits.chunk_scores,
            chunk_spans=hits.chunk_spans, extra=extra,
        ).to_wire()
    )  # fmt: skip


def answer(plan: Plan, rankings: Sequence[Any]) -> None:
    """Format ten hits a query, as the reduce task does."""
    live = {
        one.doc_id: LiveDocument(one.version, one.version, {"text": "some words"}, {}, 1.0)
        for ranking in rankings
        for one in ranking
    }
    answerer = Answerer(SearchParams(limit=10), live, plan, lambda _: {})
    for ranking in rankings:
        answerer.hits(ranking, "")


if __name__ == "__main__":
    main()
