"""A lean load generator: keep-alive connections, one request at a time each, in its own process.

``measure`` starts this file as a program, so that the generator never shares a Python process with
what it measures. Bodies are made beforehand; an answer is read by its length and judged by its
status alone. The same generator asks every server.
"""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

WARM_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: an address, a path, and bodies that are sent in turn."""

    port: int
    path: str
    bodies: tuple[bytes, ...]
    host: str = "127.0.0.1"
    api_key: str = ""

    def requests(self) -> list[bytes]:
        """Return the requests as bytes."""
        key = f"authorization: Bearer {self.api_key}\r\n" if self.api_key else ""
        head = (
            f"POST {self.path} HTTP/1.1\r\nhost: {self.host}\r\n{key}"
            "content-type: application/json\r\ncontent-length: "
        ).encode()
        return [head + str(len(body)).encode() + b"\r\n\r\n" + body for body in self.bodies]


@dataclass(frozen=True, slots=True)
class Load:
    """What was measured: latencies in milliseconds, and the rate."""

    clients: int
    requests: int
    errors: int
    seconds: float
    median_ms: float
    p95_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.requests / self.seconds


@dataclass(slots=True)
class _Tally:
    """What all clients share."""

    end: float
    turn: int = 0
    errors: int = 0
    first_error: bytes = b""
    latencies: list[float] = field(default_factory=list)


class _Client(asyncio.Protocol):
    """One connection: sends a request, reads its answer, sends the next, until the time is up."""

    def __init__(self, requests: list[bytes], tally: _Tally, done: asyncio.Future[None]) -> None:
        self._requests, self._tally, self._done = requests, tally, done
        self._read = bytearray()
        self._missing = -1  # bytes of the answer still to come; -1: its head is not read yet
        self._sent_at = 0.0

    def connection_made(self, transport: Any) -> None:
        """Ask for the first time."""
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        tally = self._tally
        request = self._requests[tally.turn % len(self._requests)]
        tally.turn += 1
        self._sent_at = time.perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Collect an answer; when it is whole, note it and ask again."""
        if self._missing < 0:
            self._read += data
            end = self._read.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._read[:end]).lower()
            at = head.find(b"content-length:") + len(b"content-length:")
            length = int(head[at : (head + b"\r\n").find(b"\r\n", at)])
            self._status = self._read[9:12]
            self._missing = length - (len(self._read) - end - 4)
        else:
            self._missing -= len(data)
            if self._status != b"200":
                self._read += data
        if self._missing == 0:
            self._answered()

    def _answered(self) -> None:
        now, tally = time.perf_counter(), self._tally
        if self._status == b"200":
            tally.latencies.append(now - self._sent_at)
        else:
            tally.errors += 1
            tally.first_error = tally.first_error or bytes(self._read)
        self._read.clear()
        self._missing = -1
        if now < tally.end:
            self._ask()
        elif not self._done.done():
            self._done.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up is an error of the run."""
        if not self._done.done():
            self._done.set_exception(exc or ConnectionError("the server hung up"))


async def _run(target: Target, clients: int, seconds: float) -> tuple[_Tally, float]:
    loop = asyncio.get_running_loop()
    requests = target.requests()
    started = time.perf_counter()
    tally = _Tally(end=started + seconds)
    ends = [loop.create_future() for _ in range(clients)]
    for done in ends:
        await loop.create_connection(
            lambda done=done: _Client(requests, tally, done),  # type: ignore[misc]
            target.host,
            target.port,
        )
    await asyncio.wait_for(asyncio.gather(*ends), seconds + 60)
    return tally, time.perf_counter() - started


async def _main(target: Target, clients: int, seconds: float) -> Load:
    await _run(target, clients, WARM_UP_S)
    tally, took = await _run(target, clients, seconds)
    if not tally.latencies:
        raise RuntimeError(f"no answer was good; the first: {tally.first_error[:400]!r}")
    times = 1e3 * np.array(tally.latencies)
    return Load(
        clients=clients,
        requests=len(times),
        errors=tally.errors,
        seconds=took,
        median_ms=float(np.median(times)),
        p95_ms=float(np.percentile(times, 95)),
        p99_ms=float(np.percentile(times, 99)),
    )


def measure(target: Target, clients: int, seconds: float) -> Load:
    """Ask ``target`` with so many clients for so long, after a warm-up, from another process.

    Raises:
        subprocess.CalledProcessError: not one answer was good, or the server hung up.
    """
    order = pickle.dumps((asdict(target), clients, seconds))
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve())],
        input=order,
        stdout=subprocess.PIPE,
        check=True,
        timeout=seconds + WARM_UP_S + 120,
    )
    return Load(**json.loads(done.stdout))


def _program() -> None:
    import uvloop  # noqa: PLC0415 - the generator's own need, not that of whoever imports measure

    target, clients, seconds = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    load = uvloop.run(_main(Target(**target), clients, seconds))
    json.dump(asdict(load), sys.stdout)


if __name__ == "__main__":
    _program()
