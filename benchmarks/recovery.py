"""How long until killed workers' work goes on: a search worker with 100 000 vectors, an encoder.

    python benchmarks/recovery.py
    python benchmarks/recovery.py --vectors 5000 --kills 2

The search worker is killed with SIGKILL and restarted by the supervisor; measured is the time from
the new process's start until a query gets an answer of all shards again. The encode worker is
killed in the middle of an ingest; measured is the time until the batch that it held is indexed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from deployment import REPOSITORY, Deployment, deployed, end_on_terminate
from search import FLOW, HNSW, LIMIT, Data, fill, machine

sys.path.insert(0, str(REPOSITORY))

from app.demo.corpus import corpus

SEARCH_WORKER = "search-vectors-0"
PATIENCE_S = 120.0
DOCUMENTS = 600
SHORT_MS = 400  # deadline of a probing query: it must not wait for the dead


def kill(deployment: Deployment, name: str) -> tuple[int, float]:
    """Kill a process without mercy; return its id and when that was."""
    pid = deployment.pid_of(name)
    os.kill(pid, signal.SIGKILL)
    return pid, time.time()


def started_at(deployment: Deployment, name: str, old: int) -> float:
    """Wait for the process's successor; return when it was started."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            pid = deployment.pid_of(name)
            if pid != old:
                return Path(f"/proc/{pid}").stat().st_ctime
        except (OSError, TypeError, json.JSONDecodeError):
            pass  # not started yet, or the file is being replaced
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


def kill_search_worker(deployment: Deployment, data: Data, kills: int) -> None:
    """Print how long a search worker takes to answer again."""
    print("\n| search worker killed | restarted after | answers after its restart |")
    print("|--:|--:|--:|")
    query = data.queries[0].tolist()
    for number in range(1, kills + 1):
        whole_again(deployment, query)
        old, killed = kill(deployment, SEARCH_WORKER)
        born = started_at(deployment, SEARCH_WORKER, old)
        whole = whole_again(deployment, query)
        print(f"| {number} | {born - killed:.2f} s | {whole - born:.2f} s |", flush=True)
        time.sleep(2.0)


def counts(deployment: Deployment, job: str) -> dict[str, Any]:
    """Return how many documents of a job are in each state."""
    return dict(deployment.call("GET", f"/v1/jobs/{job}")["counts"])


def kill_encode_worker(deployment: Deployment, kills: int) -> None:
    """Print how long the batch of a killed encode worker is stuck."""
    print("\n| encode worker killed | with documents left | all of them indexed after |")
    print("|--:|--:|--:|")
    texts = corpus(DOCUMENTS)
    for number in range(1, kills + 1):
        documents = [{**one, "id": f"{number}:{one['id']}"} for one in texts]
        job = deployment.write(documents)
        while counts(deployment, job).get("indexed", 0) < DOCUMENTS // 4:
            time.sleep(0.005)
        _, killed = kill(deployment, "encode")
        left = DOCUMENTS - counts(deployment, job).get("indexed", 0)
        end = time.monotonic() + PATIENCE_S
        while (done := counts(deployment, job).get("indexed", 0)) < DOCUMENTS:
            if time.monotonic() > end:
                raise TimeoutError(f"{DOCUMENTS - done} documents are stuck")
            time.sleep(0.02)
        print(f"| {number} | {left} | {time.time() - killed:.2f} s |", flush=True)
        time.sleep(2.0)


def main() -> None:
    """Run the benchmark."""
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
        kill_search_worker(deployment, data, options.kills)
        kill_encode_worker(deployment, options.kills)


if __name__ == "__main__":
    main()
