"""How does cost grow with the number of vectors? One shard of 10 k, 100 k or a million.

Run: OMP_NUM_THREADS=2 python -m benchmarks.scale --rows 10000 100000 --engine hnsw sq8

For each size and engine: build time and its peak of memory, bytes a vector on disk and in memory,
recall@10, queries a second of CPU time of the search task's own code beside the bare engine
(``benchmarks/task_rates.py`` says what is compared), and the cold start of a replica. Building
uses the OpenMP threads it is given, searching one: threads that wait for each other would count as
work.

With ``--folder`` all is kept: rows are written once and go on where an interruption left them, an
index is built once, ``--phase`` does one step at a time. A million:

    for phase in write build measure; do
        OMP_NUM_THREADS=2 python -m benchmarks.scale --folder F --rows 1000000 --phase $phase
    done
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.store import COLLECTION, BenchStore, Vectors, rows_found
from benchmarks.task_rates import BATCH_QUERIES, LIMIT, Rates, rates, use_one_thread
from benchmarks.vectors import clustered, recall_at
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.shard import Shard

ENGINES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "hnsw": ("hnsw", {}),
    "sq8": ("faiss", {"factory": "IVF{lists},SQ8"}),
    "ivfpq": ("faiss", {"factory": "IVF{lists},PQ96"}),
}
PHASES = ("write", "build", "measure")
QUERIES = 512
BLOCK = 50_000  # rows made at a time
GB = 1 << 30

HEAD = (
    "| rows | engine | write s | build s | peak GB | disk B/vector | memory B/vector "
    "| of it private | recall@10 | compared | queries/s | bare | share | cold s |\n" + "|---" * 14
    + "|"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replica:
    """What a fresh process needed to serve an index."""

    cold_s: float  # from nothing to its first answer
    resident: float  # bytes after all queries, mapped files included
    private: float  # bytes of it that no other process can share


def main() -> None:
    """Do the phases of every size with every engine; print a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--engine", choices=list(ENGINES), nargs="+", default=["hnsw", "sq8"])
    parser.add_argument("--folder", type=Path, help="kept, and filled only once")
    parser.add_argument("--phase", choices=PHASES, nargs="+", default=list(PHASES))
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round of queries")
    parser.add_argument("--child", choices=("build", "start"), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        act = built if chosen.child == "build" else started
        print(json.dumps(act(chosen.folder, chosen.rows[0], chosen.engine[0])))
        return
    if "measure" in chosen.phase:
        print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for count in chosen.rows:
            folder = (chosen.folder or Path(scratch)) / str(count)
            folder.mkdir(parents=True, exist_ok=True)
            run(folder, count, chosen)


def run(folder: Path, count: int, chosen: argparse.Namespace) -> None:
    """Do the phases of one size."""
    phases = chosen.phase
    if "write" in phases:
        fill(folder, count)
    for engine in chosen.engine:
        note = folder / f"built.{engine}.json"
        if "build" in phases and not note.exists():
            note.write_text(json.dumps(in_child("build", folder, count, engine)))
        if "measure" in phases:
            building = json.loads(note.read_text())
            print(measured(folder, (count, engine), building, chosen.seconds), flush=True)


def config_of(engine: str, count: int) -> IndexConfig:
    """Return the index, with as many lists as suit its size."""
    uses, options = ENGINES[engine]
    lists = 2 ** round(np.log2(4 * np.sqrt(count)))
    filled = {key: str(value).format(lists=lists) for key, value in options.items()}
    return IndexConfig(engine, "vector", uses, filled, "cosine", dim=384)


def fill(folder: Path, count: int) -> None:
    """Write the rows to the ledger and the log, from where an earlier run has ended."""
    store, note = BenchStore(folder), folder / "written.txt"
    seconds = float(note.read_text()) if note.exists() else 0.0
    while (first := store.log.last_seq(COLLECTION)) < count:
        block = block_of(first // BLOCK, count)[first % BLOCK :]
        seconds += store.put_rows(block, first=first)
        note.write_text(str(seconds))
    store.ledger.close()


def block_of(number: int, count: int) -> Vectors:
    """Return the rows of one block; they are the same in every run."""
    return clustered(min(BLOCK, count - number * BLOCK), seed=1000 + number)


def built(folder: Path, count: int, engine: str) -> Mapping[str, float]:
    """Build an index; return the seconds, and the peak of memory, mapped files included."""
    seconds = BenchStore(folder).build(config_of(engine, count))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"seconds": seconds, "peak": peak}


def measured(
    folder: Path, what: tuple[int, str], building: Mapping[str, float], seconds: float
) -> str:
    """Return the line of the table."""
    count, engine = what
    config = config_of(engine, count)
    replica = Replica(**in_child("start", folder, count, engine))
    store = BenchStore(folder)
    shard = store.open(config)
    use_one_thread()
    queries = clustered(QUERIES, seed=2)
    recall = recall_at(LIMIT, found_by(shard, queries), exact_of(folder, queries, count))
    speed = rates(shard, config, queries, seconds=seconds)
    size = sum(info.size_bytes for info in store.place(config).segments())
    shard.close()
    store.ledger.close()
    write_s = float((folder / "written.txt").read_text())
    return line((count, engine), (write_s, building, size), (replica, recall, speed))


def line(
    what: tuple[int, str],
    made: tuple[float, Mapping[str, float], int],
    served: tuple[Replica, float, Rates],
) -> str:
    """Format what was measured."""
    (count, engine), (write_s, building, size), (replica, recall, speed) = what, made, served
    return (
        f"| {count:,} | {engine} | {write_s:.0f} | {building['seconds']:.0f} "
        f"| {building['peak'] / GB:.1f} | {size / count:.0f} | {replica.resident / count:.0f} "
        f"| {replica.private / count:.0f} | {recall:.3f} | {speed.compared:.0f} "
        f"| {speed.task:.0f} | {speed.bare:.0f} | {speed.task / speed.bare:.2f} "
        f"| {replica.cold_s:.2f} |"
    )


def exact_of(folder: Path, queries: Vectors, count: int) -> NDArray[np.int64]:
    """Return the nearest rows of each query by a scan, made block by block, once."""
    note = folder / "exact.npy"
    if note.exists():
        return np.asarray(np.load(note))
    best = np.full((len(queries), LIMIT), -np.inf, np.float32)
    found = np.zeros((len(queries), LIMIT), np.int64)
    for first in range(0, count, BLOCK):
        block = block_of(first // BLOCK, count)
        scores = np.concatenate((best, queries @ block.T), axis=1)
        fresh = np.broadcast_to(np.arange(first, first + len(block)), (len(queries), len(block)))
        numbers = np.concatenate((found, fresh), axis=1)
        at = np.argpartition(-scores, LIMIT - 1, axis=1)[:, :LIMIT]
        best, found = np.take_along_axis(scores, at, 1), np.take_along_axis(numbers, at, 1)
    np.save(note, found)
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


def in_child(what: str, folder: Path, count: int, engine: str) -> Any:
    """Do something in a process of its own, so that its memory can be told."""
    done = subprocess.run(
        [
            sys.executable, "-m", "benchmarks.scale", "--child", what, "--engine", engine,
            "--rows", str(count), "--folder", str(folder),
        ],
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


def started(folder: Path, count: int, engine: str) -> Mapping[str, float]:
    """Start as a replica does: open the shard, answer one query, then all."""
    queries = clustered(QUERIES, seed=2)
    resident, private = memory()
    began = time.perf_counter()
    shard = BenchStore(folder).open(config_of(engine, count))
    shard.search(ShardQuery.of(queries[:1], limit=LIMIT))
    seconds = time.perf_counter() - began
    found_by(shard, queries)
    now = memory()
    return {"cold_s": seconds, "resident": now[0] - resident, "private": now[1] - private}


def memory() -> tuple[int, int]:
    """Return the bytes of this process in memory: all, and those of no file."""
    pages = [int(number) for number in Path("/proc/self/statm").read_text().split()]
    size = os.sysconf("SC_PAGE_SIZE")
    return pages[1] * size, (pages[1] - pages[2]) * size


if __name__ == "__main__":
    main()
