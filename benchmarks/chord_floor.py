"""What a lone query's way costs on this machine before anything is searched.

    python -m benchmarks.chord_floor

A vector query passes through four processes: API, two search workers side by side, reduce, and the
API again. Three ways over the same broker, in turn, one request at a time:

- *bare*: processes that block on a Redis list and push on, with nothing between; the two in the
  middle count down in Redis, and the later one wakes the last. No way over Redis lists is faster.
- *Celery*: a chord of two tasks that do nothing, and its callback, with Celery's own Redis
  transport and result backend, awaited by the caller.
- *ours*: a vector query over HTTP on an almost empty collection, by a deployment's own processes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import redis
from celery import Celery, chord

from app.load import Target, measure
from benchmarks.deployment import REPOSITORY, deployed, end_on_terminate

SECONDS, ROUNDS, WARM_UP = 3.0, 3, 50
FLOW = """
name: floor
services:
  - {name: Preprocessor, uses: WholeText}
  - {name: Encoder, uses: Hashing, with: {dim: 8}}
  - {name: Indexer, uses: exact, shards: 2}
"""
DOCUMENTS = 20

celery = Celery("floor", broker=os.environ.get("FLOOR_URL"), backend=os.environ.get("FLOOR_URL"))
celery.conf.worker_prefetch_multiplier = 1


@celery.task(name="floor.part")
def part() -> int:
    """Find nothing."""
    return 1


@celery.task(name="floor.whole")
def whole(parts: list[int]) -> int:
    """Merge nothing."""
    return sum(parts)


def stage(url: str, name: str) -> None:
    """Wait for a token and hand it on; the second of the parts wakes the last process."""
    client = redis.Redis.from_url(url, socket_timeout=None)
    while True:
        client.blpop([name])
        if name == "whole":
            client.rpush("answer", b"1")
        elif client.incr("count") % 2 == 0:
            client.rpush("whole", b"1")


@contextmanager
def bare(url: str) -> Iterator[Callable[[], None]]:
    """Run the bare processes; yield what sends one token through them."""
    client = redis.Redis.from_url(url, socket_timeout=None)
    context = multiprocessing.get_context("spawn")
    stages = [
        context.Process(target=stage, args=(url, name), daemon=True)
        for name in ("part-0", "part-1", "whole")
    ]
    for process in stages:
        process.start()

    def once() -> None:
        with client.pipeline(transaction=False) as pipe:
            pipe.rpush("part-0", b"1")
            pipe.rpush("part-1", b"1")
            pipe.execute()
        client.blpop(["answer"])

    try:
        yield once
    finally:
        for process in stages:
            process.kill()
            process.join()


@contextmanager
def stock(url: str) -> Iterator[Callable[[], None]]:
    """Run Celery's own workers; yield what has one chord answered."""
    celery.conf.update(broker_url=url, result_backend=url)
    environment = {**os.environ, "FLOOR_URL": url}
    workers = [
        subprocess.Popen(
            [
                sys.executable, "-m", "celery", "-A", "benchmarks.chord_floor", "worker",
                "-P", "solo", "-Q", queue, "-n", f"{number}@floor", "--without-gossip",
                "--without-mingle", "--without-heartbeat", "-l", "critical",
            ],
            env=environment, cwd=REPOSITORY,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for number, queue in enumerate(("floor-0", "floor-1", "floor-whole"))
    ]  # fmt: skip

    def once() -> None:
        header = [part.s().set(queue=f"floor-{number}") for number in (0, 1)]
        chord(header)(whole.s().set(queue="floor-whole")).get(timeout=60)

    try:
        yield once
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def paced(once: Callable[[], None]) -> float:
    """Return the median of one round in milliseconds."""
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        began = time.perf_counter()
        once()
        times.append(1e3 * (time.perf_counter() - began))
    return float(np.median(times))


def main() -> None:
    """Run the benchmark and print its table."""
    end_on_terminate()
    with deployed(FLOW) as deployment, ExitStack() as stack:
        rows = np.random.default_rng(0).standard_normal((DOCUMENTS, 8))
        deployment.write(
            [{"id": f"{i}", "text": "x", "vector": row.tolist()} for i, row in enumerate(rows)]
        )
        deployment.wait_searchable(DOCUMENTS)
        path = f"/v1/collections/{deployment.collection}/search"
        body = json.dumps({"query": {"vector": rows[0].tolist()}, "limit": 10}).encode()
        target = Target(int(deployment.url.rpartition(":")[2]), path, (body,))
        state = json.loads((deployment.data_dir / "state.json").read_text())
        url = state["broker_url"].removesuffix("/0") + "/1"
        ways = {
            "bare": stack.enter_context(bare(url)),
            "Celery": stack.enter_context(stock(url)),
        }
        for once in ways.values():
            for _ in range(WARM_UP):
                once()
        medians: dict[str, list[float]] = {"bare": [], "Celery": [], "ours": []}
        for _ in range(ROUNDS):
            for name, once in ways.items():
                medians[name].append(paced(once))
            medians["ours"].append(measure(target, 1, SECONDS).median_ms)
    print("| way | median of a lone request |\n|---|--:|")
    for name, values in medians.items():
        print(f"| {name} | {np.median(values):.2f} ms |")


if __name__ == "__main__":
    main()
