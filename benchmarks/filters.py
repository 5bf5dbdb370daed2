"""What does a filter cost, and does it lose anything? Recall@10 and latency by selectivity.

Run: OMP_NUM_THREADS=1 python -m benchmarks.filters [--rows 100000] [--engine hnsw]

Two kinds of filters let the same share of documents pass: *independent* ones have nothing to do
with the vectors; *correlated* ones pass the documents nearest to a point (near: the queries ask
there; far: they ask at the opposite end). Recall is against a scan of all rows that pass.
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
LIMIT = 10
LEAST_RECALL, MOST_RATIO = 0.95, 3.0  # what is asked of every row of the table
BINS = 100_000  # values of a tag: the filter takes a range of them


@dataclass(frozen=True, slots=True)
class Case:
    """One filter and the queries under it."""

    kind: str
    share: float
    condition: Mapping[str, Any] | None
    passing: NDArray[np.bool_]
    queries: Vectors


def main() -> None:
    """Fill a shard, measure every filter, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--engine", default="hnsw")
    chosen = parser.parse_args()
    rows = clustered(chosen.rows, seed=1)
    queries = clustered(2 * chosen.queries, seed=2)
    centre = queries[0]
    nearness = rows @ centre
    tags = [
        {"chance": int(chance), "near": int(near)}
        for chance, near in zip(_places(_chances(len(rows))), _places(nearness), strict=True)
    ]
    by_nearness = queries[np.argsort(-(queries @ centre))]
    with tempfile.TemporaryDirectory() as folder:
        store = BenchStore(Path(folder))
        store.put_rows(rows, tags)
        config = IndexConfig("near", "vector", chosen.engine, {}, "cosine", dim=rows.shape[1])
        store.build(config)
        shard = store.open(config)
        cases = list(_cases(tags, by_nearness, chosen.queries))
        measure(shard, rows, cases)


def _chances(count: int) -> NDArray[np.float64]:
    return np.random.default_rng(3).random(count)


def _places(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each value, the greatest first, as a number below ``BINS``."""
    places = np.empty(len(values), np.int64)
    places[np.argsort(-values, kind="stable")] = np.arange(len(values))
    return places * BINS // len(values)


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
    """Print recall and median latency of each case, and whether both are good enough."""
    print(
        "| filter | passing | recall@10 | median ms | of unfiltered | |\n|---|---|---|---|---|---|"
    )
    base = 0.0
    for case in cases:
        times, found = _asked(shard, case)
        median = 1e3 * float(np.median(times))
        base = base or median
        recall = _recall(rows, case, found)
        good = recall >= LEAST_RECALL and median <= MOST_RATIO * base
        print(
            f"| {case.kind} | {case.share:.1%} | {recall:.3f} | {median:.2f} | {median / base:.2f} "
            f"| {'' if good else 'missed'} |",
            flush=True,
        )


def _asked(shard: Shard, case: Case) -> tuple[list[float], list[list[int]]]:
    """Ask one query at a time, as a lone user does; return seconds and rows found."""
    times, found = [], []
    for number, row in enumerate(np.concatenate((case.queries[:5], case.queries))):
        query = ShardQuery.of(row[None], limit=LIMIT, filter=case.condition)
        started = time.perf_counter()
        hits = shard.search(query)
        if number >= 5:  # noqa: PLR2004 - the first ones warm the caches
            times.append(time.perf_counter() - started)
            found += rows_found(hits, LIMIT)
    return times, found


def _recall(rows: Vectors, case: Case, found: Sequence[Sequence[int]]) -> float:
    at = np.flatnonzero(case.passing)
    scores = case.queries @ rows[at].T
    best = min(LIMIT, len(at))
    exact = at[np.argpartition(-scores, best - 1, axis=1)[:, :best]]
    hits = sum(len(set(mine) & set(true)) for mine, true in zip(found, exact.tolist(), strict=True))
    return hits / (best * len(found))


if __name__ == "__main__":
    main()
