"""How does cost grow with the number of vectors? One shard of 10 k, 100 k or a million.

Run: OMP_NUM_THREADS=2 python -m benchmarks.scale --rows 10000 100000 --engine hnsw sq8

For each size and engine: build time, bytes a vector on disk and in memory, recall@10, queries a
second of CPU time of the search task's own code (message in, ``Shard.search``, message out, in
batches of 64) beside the bare engine on the same file with the same effort, and the cold start of
a replica. Building uses the OpenMP threads it is given, searching one: threads that wait for each
other would count as work. A folder given by ``--folder`` is filled once: run again with other
engines, or after an interruption.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.store import COLLECTION, BenchStore, Vectors, rows_found
from benchmarks.vectors import clustered, recall_at
from compose.plan import IndexPlan, Plan
from compose.wire import codec
from compose.wire.messages import QueryBatch, SearchParams
from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.model import IndexConfig
from indexstore.nearest import REFINE, SLACK
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from workers.search.tasks import answer_of

ENGINES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "hnsw": ("hnsw", {}),
    "sq8": ("faiss", {"factory": "IVF{lists},SQ8"}),
    "ivfpq": ("faiss", {"factory": "IVF{lists},PQ96"}),
}
LIMIT, BATCH_QUERIES = 10, 64
QUERIES = 512
SECONDS = 3.0  # a round of queries; rounds of both are interleaved
ROUNDS = 3
BLOCK = 50_000  # rows made at a time


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    rows: int
    engine: str
    write_s: float
    build_s: float
    disk: float  # bytes a vector
    memory: float  # bytes a vector, resident after all queries
    recall: float
    rate: float  # queries a second
    bare: float
    cold_s: float

    def __str__(self) -> str:
        return (
            f"| {self.rows:,} | {self.engine} | {self.write_s:.0f} | {self.build_s:.0f} "
            f"| {self.disk:.0f} | {self.memory:.0f} | {self.recall:.3f} | {self.rate:.0f} "
            f"| {self.bare:.0f} | {self.rate / self.bare:.2f} | {self.cold_s:.2f} |"
        )


HEAD = (
    "| rows | engine | write s | build s | disk B/vector | memory B/vector | recall@10 "
    "| queries/s | bare | share | cold s |\n" + "|---" * 11 + "|"
)


def main() -> None:
    """Measure every size with every engine, and print a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--engine", choices=list(ENGINES), nargs="+", default=["hnsw", "sq8"])
    parser.add_argument("--folder", type=Path, help="kept, and filled only once")
    parser.add_argument("--start", help=argparse.SUPPRESS)  # a replica's cold start, as a child
    chosen = parser.parse_args()
    if chosen.start:
        cold_start(chosen.folder, chosen.rows[0], chosen.start)
        return
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for count in chosen.rows:
            folder = (chosen.folder or Path(scratch)) / str(count)
            folder.mkdir(parents=True, exist_ok=True)
            write_s = fill(folder, count)
            for engine in chosen.engine:
                print(measured(folder, count, engine, write_s), flush=True)


def config_of(engine: str, count: int) -> IndexConfig:
    """Return the index, with as many lists as suit its size."""
    uses, options = ENGINES[engine]
    lists = 2 ** round(np.log2(4 * np.sqrt(count)))
    filled = {key: str(value).format(lists=lists) for key, value in options.items()}
    return IndexConfig(engine, "vector", uses, filled, "cosine", dim=384)


def fill(folder: Path, count: int) -> float:
    """Write the rows to the ledger and the log, unless they are there; return the seconds."""
    note = folder / "written.txt"
    if note.exists():
        return float(note.read_text())
    store, seconds = BenchStore(folder), 0.0
    for first in range(0, count, BLOCK):
        block = clustered(min(BLOCK, count - first), seed=1000 + first // BLOCK)
        seconds += store.put_rows(block, first=first)
    store.ledger.close()
    note.write_text(str(seconds))
    return seconds


def measured(folder: Path, count: int, engine: str, write_s: float) -> Row:
    """Build an index where there is none, and measure it."""
    store, config = BenchStore(folder), config_of(engine, count)
    note = folder / f"built.{engine}.txt"
    if not note.exists():
        note.write_text(str(store.build(config)))
    cold_s, memory = replica(folder, count, engine)
    shard = store.open(config)
    use_one_thread()
    queries = clustered(QUERIES, seed=2)
    exact = exact_of(queries, count)
    recall = recall_at(LIMIT, found_by(shard, queries), exact)
    rate, bare = rates(shard, config, queries)
    size = sum(info.size_bytes for info in store.place(config).segments())
    shard.close()
    store.ledger.close()
    return Row(
        count, engine, write_s, float(note.read_text()), size / count, memory / count,
        recall, rate, bare, cold_s,
    )  # fmt: skip


def use_one_thread() -> None:
    """Search with one thread from now on, whatever builds were granted."""
    use_thread_budget()
    faiss.omp_set_num_threads(1)


def exact_of(queries: Vectors, count: int) -> Any:
    """Return the nearest rows of each query by a scan, made block by block."""
    best = np.full((len(queries), LIMIT), -np.inf, np.float32)
    found = np.zeros((len(queries), LIMIT), np.int64)
    for first in range(0, count, BLOCK):
        block = clustered(min(BLOCK, count - first), seed=1000 + first // BLOCK)
        scores = np.concatenate((best, queries @ block.T), axis=1)
        fresh = np.broadcast_to(np.arange(first, first + len(block)), (len(queries), len(block)))
        numbers = np.concatenate((found, fresh), axis=1)
        at = np.argpartition(-scores, LIMIT - 1, axis=1)[:, :LIMIT]
        best, found = np.take_along_axis(scores, at, 1), np.take_along_axis(numbers, at, 1)
    return found


def found_by(shard: Shard, queries: Vectors) -> list[list[int]]:
    """Return the rows that the shard finds."""
    return [
        rows
        for first in range(0, len(queries), BATCH_QUERIES)
        for rows in rows_found(
            shard.search(ShardQuery.of(queries[first : first + BATCH_QUERIES], limit=LIMIT)), LIMIT
        )
    ]


def rates(shard: Shard, config: IndexConfig, queries: Vectors) -> tuple[float, float]:
    """Return queries a second of the search task's code and of the bare engine, by turns."""
    plan = plan_of(config)
    wires = [
        codec.dumps(batch_of(queries[first : first + BATCH_QUERIES]).to_wire())
        for first in range(0, len(queries), BATCH_QUERIES)
    ]
    engine = next(part.engine for part in shard.parts() if part.engine is not None)
    # As wide as the shard has to ask for its answer: limit, spare ones, and candidates to refine.
    width = LIMIT + SearchParams().slack + SLACK
    width *= 1 if engine.vectors is not None else REFINE

    def task(number: int) -> None:
        batch = QueryBatch.from_wire(codec.loads(wires[number % len(wires)]))
        answer_of(batch, shard, plan, time.time())

    def bare(number: int) -> None:
        first = number % len(wires) * BATCH_QUERIES
        engine.search(queries[first : first + BATCH_QUERIES], width)

    rounds = [(paced(task), paced(bare)) for _ in range(ROUNDS)]
    mine, theirs = np.median(np.array(rounds), axis=0).tolist()
    return mine, theirs


def paced(call: Callable[[int], None]) -> float:
    """Return queries a second of CPU time in one round: others on the machine do not count."""
    done, started = 0, time.process_time()
    while time.process_time() < started + SECONDS:
        call(done)
        done += 1
    return done * BATCH_QUERIES / (time.process_time() - started)


def plan_of(config: IndexConfig) -> Plan:
    """Return the plan of a flow that has this index alone."""
    index = IndexPlan(
        config.name, config.kind, config.engine, config.options, config.metric, config.dim,
        config.vector, 1, 1, f"search.{COLLECTION}",
    )  # fmt: skip
    return Plan(COLLECTION, 0, (), (index,), "bench")


def batch_of(queries: Vectors) -> QueryBatch:
    """Return the message that encode sends to the search task."""
    return QueryBatch(
        "batch", "nobody", COLLECTION, time.time() + 3600.0, len(queries),
        SearchParams(limit=LIMIT).to_wire(), ((0, 0),), target=(0, 0),
        owners=np.arange(len(queries), dtype=np.int32), weights=np.ones(len(queries), np.float32),
        embeddings={"": queries},
    )  # fmt: skip


def replica(folder: Path, count: int, engine: str) -> tuple[float, float]:
    """Start a replica in a process of its own; return seconds to its first answer, and bytes."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.scale", "--start", engine,
            "--rows", str(count), "--folder", str(folder),
        ],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, size = done.stdout.split()
    return float(seconds), float(size)


def cold_start(folder: Path, count: int, engine: str) -> None:
    """Open the shard, answer one query, then all; print seconds and the resident bytes it took."""
    queries = clustered(QUERIES, seed=2)
    before = resident()
    started = time.perf_counter()
    shard = BenchStore(folder).open(config_of(engine, count))
    shard.search(ShardQuery.of(queries[:1], limit=LIMIT))
    seconds = time.perf_counter() - started
    found_by(shard, queries)
    print(seconds, resident() - before)


def resident() -> int:
    """Return the bytes of this process that lie in memory, mapped files included."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
