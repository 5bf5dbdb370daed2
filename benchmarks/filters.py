"""What does a filter cost, and does it lose anything? Recall@10 and latency by selectivity.

Run: OMP_NUM_THREADS=1 python -m benchmarks.filters [--rows 100000] [--engine hnsw] [--folder F]

Two kinds of filters let the same share of documents pass: *independent* ones have nothing to do
with the vectors; *correlated* ones pass the documents nearest to a point (near: the queries ask
there; far: they ask at the opposite end). Recall is against a scan of all rows that pass.
Latencies are of one query at a time, of queries in batches of 64, and of a filter's first query,
which has to find out what passes. A folder given by ``--folder`` is filled once.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.store import BenchStore, Vectors, rows_found
from benchmarks.vectors import clustered
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.shard import Shard

SHARES = (0.001, 0.01, 0.1, 0.5, 0.99)
LIMIT, BATCH_QUERIES = 10, 64
LEAST_RECALL, MOST_RATIO = 0.95, 3.0  # what is asked of every row of the table
BINS = 100_000  # values of a tag: the filter takes a range of them
WARMING = 5  # queries before the first that is timed

HEAD = (
    "| filter | passing | recall@10 | median ms | of unfiltered | ms in batches | of unfiltered "
    "| first ms | |\n" + "|---" * 9 + "|"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One filter and the queries under it."""

    kind: str
    share: float
    condition: Mapping[str, Any] | None
    passing: NDArray[np.bool_]
    queries: Vectors


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was found under a filter, and how fast, in milliseconds a query."""

    recall: float
    alone: float
    batched: float
    first: float


def main() -> None:
    """Fill a shard, measure every filter, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--engine", default="hnsw")
    parser.add_argument("--folder", type=Path, help="kept, and filled only once")
    chosen = parser.parse_args()
    rows = clustered(chosen.rows, seed=1)
    queries = clustered(2 * chosen.queries, seed=2)
    nearness = queries @ queries[0]
    tags = tags_of(rows, queries[0])
    config = IndexConfig(
        f"near-{chosen.engine}", "vector", chosen.engine, {}, "cosine", dim=rows.shape[1]
    )
    with tempfile.TemporaryDirectory() as scratch:
        shard = filled(chosen.folder or Path(scratch), config, rows, tags)
        measure(shard, rows, list(_cases(tags, queries[np.argsort(-nearness)], chosen.queries)))


def tags_of(rows: Vectors, centre: NDArray[np.float32]) -> list[dict[str, int]]:
    """Return the tags that filters ask for: a random place, and one by nearness to a point."""
    chances = np.random.default_rng(3).random(len(rows))
    return [
        {"chance": int(chance), "near": int(near)}
        for chance, near in zip(_places(chances), _places(rows @ centre), strict=True)
    ]


def _places(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each value, the greatest first, as a number below ``BINS``."""
    places = np.empty(len(values), np.int64)
    places[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return places * BINS // len(values)


def filled(
    folder: Path, config: IndexConfig, rows: Vectors, tags: Sequence[Mapping[str, int]]
) -> Shard:
    """Return the shard of the rows, written and built unless it was before."""
    folder.mkdir(parents=True, exist_ok=True)
    is_new = not (folder / "store.sqlite").exists()
    store = BenchStore(folder)
    if is_new:
        store.put_rows(rows, tags)
    store.build(config)
    return store.open(config)


def _cases(tags: Sequence[Mapping[str, int]], queries: Vectors, count: int) -> Iterator[Case]:
    everything = np.ones(len(tags), np.bool_)
    mixed = queries[::2][:count]
    yield Case("none", 1.0, None, everything, mixed)
    asked = {"independent": mixed, "correlated, near": queries[:count],
             "correlated, far": queries[-count:]}  # fmt: skip
    for kind, chosen in asked.items():
        key = "chance" if kind == "independent" else "near"
        values = np.array([tag[key] for tag in tags])
        for share in SHARES:
            below = int(share * BINS)
            condition = {"must": [{"key": key, "range": {"lt": below}}]}
            yield Case(kind, share, condition, values < below, chosen)


def measure(shard: Shard, rows: Vectors, cases: Sequence[Case]) -> None:
    """Print what each case finds and costs, and whether both are good enough."""
    print(HEAD)
    measured(shard, rows, cases[0])  # reads the files, so that the first row has no worse start
    base: Outcome | None = None
    for case in cases:
        mine = measured(shard, rows, case)
        base = base or mine
        ratio = mine.alone / base.alone
        good = mine.recall >= LEAST_RECALL and ratio <= MOST_RATIO
        print(
            f"| {case.kind} | {case.share:.1%} | {mine.recall:.3f} | {mine.alone:.2f} "
            f"| {ratio:.2f} | {mine.batched:.2f} | {mine.batched / base.batched:.2f} "
            f"| {mine.first:.2f} | {'' if good else 'missed'} |",
            flush=True,
        )


def measured(shard: Shard, rows: Vectors, case: Case) -> Outcome:
    """Ask one query at a time, as a lone user does, then all in batches."""
    warming = np.concatenate((case.queries[:WARMING], case.queries))
    asked = [_asked(shard, case, row[None]) for row in warming]
    times = [seconds for seconds, _ in asked]
    blocks = [
        case.queries[first : first + BATCH_QUERIES]
        for first in range(0, len(case.queries), BATCH_QUERIES)
    ]
    batched = sum(_asked(shard, case, block)[0] for block in blocks) / len(case.queries)
    recall = _recall(rows, case, [found[0] for _, found in asked[WARMING:]])
    return Outcome(recall, 1e3 * float(np.median(times[WARMING:])), 1e3 * batched, 1e3 * times[0])


def _asked(shard: Shard, case: Case, queries: Vectors) -> tuple[float, list[list[int]]]:
    """Return the seconds of a search and the rows found for each query."""
    query = ShardQuery.of(queries, limit=LIMIT, filter=case.condition)
    started = time.perf_counter()
    hits = shard.search(query)
    return time.perf_counter() - started, rows_found(hits, LIMIT)


def _recall(rows: Vectors, case: Case, found: Sequence[Sequence[int]]) -> float:
    at = np.flatnonzero(case.passing)
    scores = case.queries @ rows[at].T
    best = min(LIMIT, len(at))
    exact = at[np.argpartition(-scores, best - 1, axis=1)[:, :best]]
    hits = sum(len(set(mine) & set(true)) for mine, true in zip(found, exact.tolist(), strict=True))
    return hits / (best * len(found))


if __name__ == "__main__":
    main()
