"""Queries over HTTP at 1 to 128 clients, beside the bare index and beside Chroma's server.

    python -m benchmarks.search                 # 100 000 vectors; some ten minutes
    python -m benchmarks.search --vectors 5000 --seconds 2

All on the same vectors, with the same graph parameters, at equal recall, in the same run, the
servers in turn. Prints a Markdown table a part.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from app.load import Load, Target, measure
from benchmarks import chroma
from benchmarks.bare_index import BareIndex
from benchmarks.chroma import Chroma
from benchmarks.deployment import ACCEPT_BATCH, REPOSITORY, Deployment, deployed, end_on_terminate
from benchmarks.vectors import Vectors, clustered, exact_neighbours, recall_at

CLIENTS = (1, 16, 64, 128)
TEXT_CLIENTS = (1, 16, 64)
LIMIT = 10
QUERIES = 2_000
PROBES = 300  # queries that recall is measured with
HNSW = {"m": 16, "ef_construction": 128}
CHROMA_EF = 100  # its default; ours is tuned to the same recall
RECALL_MARGIN = 0.005
QUESTIONS = REPOSITORY / "benchmarks" / "questions.txt"
FLOW = """
name: vectors
services:
  - name: Preprocessor
    uses: SentenceSplitter
  - name: Encoder
    uses: MiniLM
  - name: Indexer
    uses: hnsw
    with: {m: %(m)d, ef_construction: %(ef_construction)d}
    shards: 2
"""


@dataclass(frozen=True, slots=True)
class Data:
    """The stored vectors, the queries, and which rows are truly nearest to the first of them."""

    rows: Vectors
    queries: Vectors
    exact: Any

    @classmethod
    def of(cls, count: int) -> Data:
        """Make the data; the same for the same count."""
        rows, queries = clustered(count, seed=1), clustered(QUERIES, seed=2)
        return cls(rows, queries, exact_neighbours(rows, queries[:PROBES], LIMIT))

    def texts(self) -> list[str]:
        """Return a small content a vector."""
        return [f"vector {i}" for i in range(len(self.rows))]

    def recall(self, find: Callable[[Vectors], list[list[int]]]) -> float:
        """Return the recall of a search over the probes."""
        return recall_at(LIMIT, find(self.queries[:PROBES]), self.exact)


def fill(deployment: Deployment, data: Data) -> float:
    """Write the vectors through the API; return the seconds until all were searchable."""
    started = time.perf_counter()
    texts, total = data.texts(), len(data.rows)
    for start in range(0, total, ACCEPT_BATCH):
        deployment.write(
            [
                {"id": f"v{i}", "text": texts[i], "vector": data.rows[i].tolist()}
                for i in range(start, min(start + ACCEPT_BATCH, total))
            ]
        )
    deployment.wait_searchable(total)
    return time.perf_counter() - started


def body_of(vector: Sequence[float], ef: int | None) -> bytes:
    """Return the body of a vector query."""
    body = {"query": {"vector": vector}, "limit": LIMIT, "params": {"ef": ef}}
    return json.dumps(body, separators=(",", ":")).encode()


def find_ours(deployment: Deployment, ef: int | None) -> Callable[[Vectors], list[list[int]]]:
    """Return a search of ours with this ef."""

    def find(queries: Vectors) -> list[list[int]]:
        answers = (deployment.search(json.loads(body_of(q.tolist(), ef))) for q in queries)
        return [[int(hit["id"][1:]) for hit in answer["hits"]] for answer in answers]

    return find


def tuned_ef(recall: Callable[[int], float], goal: float) -> tuple[int, float]:
    """Return the smallest ef whose recall reaches ``goal`` but for the margin, and that recall."""
    low, high = LIMIT, 1_024
    best = (high, recall(high))
    while low < high:
        middle = (low + high) // 2
        got = recall(middle)
        if got >= goal - RECALL_MARGIN:
            best, high = (middle, got), middle
        else:
            low = middle + 1
    return best


@dataclass(frozen=True, slots=True)
class Contest:
    """Both servers, filled and tuned, and the bare index."""

    ours: Target
    theirs: Target | None
    bare: BareIndex
    efs: tuple[int, int]  # ours, the bare index's


def prepare(deployment: Deployment, rival: Chroma | None, data: Data) -> Contest:
    """Fill everything and tune it to the same recall."""
    seconds = fill(deployment, data)
    deployment.wait_built()
    print(f"ours: {len(data.rows) / seconds:.0f} vectors/s, API in to searchable")
    bodies: tuple[bytes, ...] = ()
    bare = BareIndex(data.rows, **HNSW)
    goal = data.recall(lambda queries: bare.search(queries, LIMIT, CHROMA_EF).tolist())
    if rival is not None:
        started = time.perf_counter()
        rival = rival.filled(data.rows, data.texts(), **HNSW)
        print(f"Chroma: {len(data.rows) / (time.perf_counter() - started):.0f} vectors/s")
        bodies = tuple(chroma.query_body(row.tolist(), LIMIT) for row in data.queries)
        goal = recall_at(LIMIT, [rival.found(body) for body in bodies[:PROBES]], data.exact)
        print(f"recall@{LIMIT} of Chroma: {goal:.3f} (ef {CHROMA_EF})")
    ef, got = tuned_ef(lambda ef: data.recall(find_ours(deployment, ef)), goal)
    print(f"recall@{LIMIT} of ours:   {got:.3f} (ef {ef} in each of 2 shards)")
    bare_ef, bare_got = tuned_ef(
        lambda ef: data.recall(lambda queries: bare.search(queries, LIMIT, ef).tolist()), goal
    )
    print(f"recall@{LIMIT} of faiss:  {bare_got:.3f} (ef {bare_ef}, one index)")
    ours = tuple(body_of(row.tolist(), ef) for row in data.queries)
    return Contest(
        target_of(deployment, ours), rival.target(bodies) if rival else None, bare, (ef, bare_ef)
    )


def target_of(deployment: Deployment, bodies: tuple[bytes, ...]) -> Target:
    """Return what a load generator asks of ours."""
    path = f"/v1/collections/{deployment.collection}/search"
    return Target(int(deployment.url.rpartition(":")[2]), path, bodies)


def best_of(loads: Sequence[Load]) -> Load:
    """Put the rounds of one cell together: medians of the medians and of the rates."""
    middle = sorted(loads, key=lambda load: load.median_ms)[len(loads) // 2]
    return replace(
        middle,
        requests=sum(load.requests for load in loads),
        seconds=sum(load.seconds for load in loads),
        errors=sum(load.errors for load in loads),
        p95_ms=float(np.median([load.p95_ms for load in loads])),
    )


def compete(contest: Contest, seconds: float, rounds: int) -> None:
    """Measure the servers in turn and print the table."""
    print("\n| clients | ours median | p95 | queries/s | Chroma median | p95 | queries/s | ratio |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|")
    for clients in CLIENTS:
        loads: dict[str, list[Load]] = {"ours": [], "theirs": []}
        for _ in range(rounds):
            loads["ours"].append(measure(contest.ours, clients, seconds))
            if contest.theirs is not None:
                loads["theirs"].append(measure(contest.theirs, clients, seconds))
        ours = best_of(loads["ours"])
        cells = [str(clients), *_cells(ours)]
        if contest.theirs is not None:
            theirs = best_of(loads["theirs"])
            cells += [*_cells(theirs), f"{ours.rate / theirs.rate:.2f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def _cells(load: Load) -> list[str]:
    rate = f"{load.rate:.0f}" + (f" ({load.errors} errors)" if load.errors else "")
    return [f"{load.median_ms:.2f} ms", f"{load.p95_ms:.2f} ms", rate]


def show_bare(contest: Contest, data: Data, seconds: float) -> None:
    """Measure the bare index alone: one query at a time, and a batch on all cores."""
    single = contest.bare.latency_ms(data.queries, LIMIT, contest.efs[1], seconds)
    rate = contest.bare.throughput(data.queries, LIMIT, contest.efs[1], seconds)
    print(f"\nbare faiss, one process: {single:.2f} ms a query; {rate:.0f} queries/s in batches")


def show_text(deployment: Deployment, seconds: float) -> None:
    """Measure text queries, and where their time goes."""
    questions = QUESTIONS.read_text(encoding="utf-8").split("\n")
    asked = [{"query": {"text": question}, "limit": LIMIT} for question in questions if question]
    bodies = tuple(json.dumps(body).encode() for body in asked)
    print("\n| clients | text median | p95 | queries/s |\n|--:|--:|--:|--:|")
    for clients in TEXT_CLIENTS:
        load = measure(target_of(deployment, bodies), clients, seconds)
        print(f"| {clients} | {' | '.join(_cells(load))} |", flush=True)
    show_parts(deployment, asked)


def show_parts(deployment: Deployment, asked: Sequence[dict[str, Any]]) -> None:
    """Print the median of each stage's wait and work over single text queries."""
    parts: dict[str, list[tuple[float, float]]] = {}
    whole: list[float] = []
    for body in [*asked, *asked]:
        answer = deployment.search({**body, "trace": True})
        whole.append(answer["took_ms"])
        for stage in answer["trace"]["stages"]:
            parts.setdefault(stage["stage"], []).append((stage["queue_ms"], stage["work_ms"]))
    print(f"\none text query at a time, {np.median(whole):.2f} ms from dispatch to answer:")
    print("\n| stage | waits | works |\n|---|--:|--:|")
    for stage, spans in parts.items():
        waits, works = np.median(np.array(spans), axis=0)
        print(f"| {stage} | {waits:.2f} ms | {works:.2f} ms |")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=6.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each cell")
    parser.add_argument("--no-chroma", action="store_true")
    options = parser.parse_args()
    end_on_terminate()
    data = Data.of(options.vectors)
    print(f"{options.vectors} x {data.rows.shape[1]} float32, synthetic clusters; {machine()}")
    with deployed(FLOW % HNSW) as deployment:
        if options.no_chroma:
            run(deployment, None, data, options)
        else:
            with chroma.running() as rival:
                run(deployment, rival, data, options)


def run(deployment: Deployment, rival: Chroma | None, data: Data, options: Any) -> None:
    """Measure everything on running servers."""
    contest = prepare(deployment, rival, data)
    show_bare(contest, data, options.seconds)
    compete(contest, options.seconds, options.rounds)
    show_bare(contest, data, options.seconds)
    show_text(deployment, options.seconds)


def machine() -> str:
    """Say what the numbers were measured on."""
    model = "unknown CPU"
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(": ")[2] if names else model
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} x {model}, Python {platform.python_version()}, load {load:.1f}"


if __name__ == "__main__":
    main()
