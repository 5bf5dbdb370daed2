"""Load beside a fault: requests in threads, each with its time and what became of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2

from tests.e2e.deployment import Deployment

TIMEOUT_S = 2.0
GRACE_S = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """One request that has come to an end."""

    what: str
    at: float  # monotonic seconds
    took_s: float
    status: int  # 0: the connection broke
    is_whole: bool = False  # an answer of all shards


@dataclass(slots=True)
class Load:
    """Everything that was asked, and the jobs of what was accepted."""

    timeout_s: float = TIMEOUT_S
    ended: list[Ended] = field(default_factory=list)
    accepted: dict[str, str] = field(default_factory=dict)  # document id -> text
    jobs: list[str] = field(default_factory=list)

    def slow(self) -> list[Ended]:
        """Return the requests that took longer than their deadline and a grace."""
        return [one for one in self.ended if one.took_s > self.timeout_s + GRACE_S]

    def back_after(self, moment: float) -> float:
        """Return when, in seconds after a moment, searches were whole again for good."""
        searches = [one for one in self.ended if one.what != "write" and one.at > moment]
        broken = [one.at for one in searches if not one.is_whole]
        whole = [one.at for one in searches if one.is_whole and one.at > max(broken, default=0.0)]
        return min(whole, default=float("inf")) - moment


@contextmanager
def under_load(it: Deployment, timeout_s: float = TIMEOUT_S) -> Iterator[Load]:
    """Search and write all the time while the block runs."""
    load, stopping = Load(timeout_s), threading.Event()
    actions: list[Callable[[httpx2.Client, int], Ended]] = [
        lambda http, n: search(it, http, {"vector": [1.0 + n % 7] * 64}, timeout_s),
        lambda http, n: write(it, http, n, load),
        lambda http, n: search(it, http, {"text": f"bread and orbit {n}"}, timeout_s),
    ]
    threads = [threading.Thread(target=_repeat, args=(it, a, load, stopping)) for a in actions]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        stopping.set()
        for thread in threads:
            thread.join()


def _repeat(
    it: Deployment,
    action: Callable[[httpx2.Client, int], Ended],
    load: Load,
    stopping: threading.Event,
) -> None:
    number = 0
    with httpx2.Client(base_url=it.url, timeout=60.0) as http:
        while not stopping.wait(0.02):
            number += 1
            load.ended.append(action(http, number))


def search(
    it: Deployment, http: httpx2.Client, query: dict[str, object], timeout_s: float
) -> Ended:
    """Search once, with a deadline."""
    body = {"query": query, "timeout_ms": int(timeout_s * 1000)}
    started = time.monotonic()
    response = http.post(f"/v1/collections/{it.collection}/search", json=body)
    ended = time.monotonic()
    ok = response.status_code == httpx2.codes.OK
    is_whole = ok and not response.json()["coverage"]["degraded"]
    return Ended("search", ended, ended - started, response.status_code, is_whole)


def write(it: Deployment, http: httpx2.Client, number: int, load: Load) -> Ended:
    """Write a few documents once."""
    documents = [
        {"id": f"{id(load)}-{number}-{n}", "text": f"Loaf {number} of tray {n}."} for n in range(4)
    ]
    started = time.monotonic()
    response = http.post(f"/v1/collections/{it.collection}/documents", json=documents)
    ended = time.monotonic()
    if response.status_code == httpx2.codes.ACCEPTED:
        load.accepted |= {one["id"]: one["text"] for one in documents}
        load.jobs.append(response.json()["job_id"])
    return Ended("write", ended, ended - started, response.status_code)
