"""How long until killed workers' work goes on: a search worker with 100 000 vectors, an encoder.

    python -m benchmarks.recovery
    python -m benchmarks.recovery --vectors 5000 --kills 2

The search worker is killed with SIGKILL and restarted by the supervisor; measured is the time from
the new process's start until a query gets an answer of all shards again. The encode worker is
killed in the middle of an ingest; measured is the time from the kill until the documents that were
stuck in its hands, and only those, are indexed. Ends with status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from typing import Any
from urllib.parse import quote

from app.demo.corpus import corpus
from benchmarks.deployment import Deployment, deployed, end_on_terminate
from benchmarks.search import FLOW, HNSW, LIMIT, Data, fill, machine

SEARCH_WORKER = "search-vectors-0"
PATIENCE_S = 120.0
DOCUMENTS = 600
SEARCH_TARGET_S, ENCODE_TARGET_S = 2.0, 15.0
STEADY_S = 11.0  # after which the supervisor takes a process to be well
SHORT_MS = 400  # deadline of a probing query: it must not wait for the dead


def kill(deployment: Deployment, name: str) -> tuple[int, float]:
    """Kill a process without mercy; return its id and when that was."""
    pid = deployment.pid_of(name)
    os.kill(pid, signal.SIGKILL)
    return pid, time.time()


def started_at(deployment: Deployment, name: str, old: int) -> float:
    """Wait for the process's successor; return when it was started, by the supervisor's word."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            (process,) = [one for one in deployment.processes() if one["name"] == name]
        except (OSError, ValueError):
            continue  # the file is being replaced
        if process["pid"] not in {old, None}:
            return float(process["started_at"])
        time.sleep(0.005)
    raise TimeoutError(f"{name} was not restarted within {PATIENCE_S:.0f} s")


def whole_again(deployment: Deployment, query: list[float]) -> float:
    """Ask until all shards answer; return when that was."""
    body = {"query": {"vector": query}, "limit": LIMIT, "timeout_ms": SHORT_MS}
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            if not deployment.search(body)["coverage"]["degraded"]:
                return time.time()
        except OSError:
            pass  # 503 or 504: nobody answers
        time.sleep(0.005)
    raise TimeoutError(f"no whole answer within {PATIENCE_S:.0f} s")


def kill_search_worker(deployment: Deployment, data: Data, kills: int) -> float:
    """Print how long a search worker takes to answer again; return the longest."""
    print("\n| search worker killed | restarted after | answers after its restart |")
    print("|--:|--:|--:|")
    query = data.queries[0].tolist()
    took: list[float] = []
    for number in range(1, kills + 1):
        whole_again(deployment, query)
        time.sleep(STEADY_S)  # who dies again and again is restarted ever later
        old, killed = kill(deployment, SEARCH_WORKER)
        born = started_at(deployment, SEARCH_WORKER, old)
        took.append(whole_again(deployment, query) - born)
        print(f"| {number} | {born - killed:.2f} s | {took[-1]:.2f} s |", flush=True)
    return max(took)


def counts(deployment: Deployment, job: str) -> dict[str, Any]:
    """Return how many documents of a job are in each state."""
    return dict(deployment.call("GET", f"/v1/jobs/{job}")["counts"])


def stuck(deployment: Deployment, job: str) -> list[float]:
    """Return when those documents of a finished job were indexed that had to be sent twice."""
    rows = deployment.call("GET", f"/v1/jobs/{job}/documents?limit={DOCUMENTS}")["documents"]
    path = f"/v1/collections/{deployment.collection}/documents/"
    again = [quote(row["id"]) for row in rows if row["attempts"] > 1]
    return [float(deployment.call("GET", path + doc_id)["updated_at"]) for doc_id in again]


def kill_encode_worker(deployment: Deployment, kills: int) -> float:
    """Print how long what a killed encode worker held is stuck; return the longest."""
    print("\n| encode worker killed | documents in its hands | all of them indexed after |")
    print("|--:|--:|--:|")
    texts = corpus(DOCUMENTS)
    took: list[float] = []
    number = 0
    while len(took) < kills:
        number += 1
        documents = [{**one, "id": f"{number}:{one['id']}"} for one in texts]
        job = deployment.write(documents)
        while counts(deployment, job).get("indexed", 0) < DOCUMENTS // 4:
            time.sleep(0.005)
        _, killed = kill(deployment, "encode")
        end = time.monotonic() + PATIENCE_S
        while (done := counts(deployment, job).get("indexed", 0)) < DOCUMENTS:
            if time.monotonic() > end:
                raise TimeoutError(f"{DOCUMENTS - done} documents are stuck")
            time.sleep(0.02)
        moments = stuck(deployment, job)
        if not moments:
            print(f"| {number} | 0 | it was between two batches: killed again |", flush=True)
            continue
        took.append(max(moments) - killed)
        print(f"| {number} | {len(moments)} | {took[-1]:.2f} s |", flush=True)
        time.sleep(STEADY_S)
    return max(took)


def main() -> int:
    """Run the benchmark; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vectors", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=5)
    options = parser.parse_args()
    end_on_terminate()
    data = Data.of(options.vectors)
    print(f"{options.vectors} x {data.rows.shape[1]} float32 in 2 shards; {machine()}")
    with deployed(FLOW % HNSW, {"GNES_CACHE_BYTES": "0"}) as deployment:
        fill(deployment, data)
        deployment.wait_built()
        searches = kill_search_worker(deployment, data, options.kills)
        encodes = kill_encode_worker(deployment, options.kills)
    print(f"\nlongest: search {searches:.2f} s of {SEARCH_TARGET_S:.0f} s, "
          f"encode {encodes:.2f} s of {ENCODE_TARGET_S:.0f} s")  # fmt: skip
    return int(searches > SEARCH_TARGET_S or encodes > ENCODE_TARGET_S)


if __name__ == "__main__":
    sys.exit(main())
