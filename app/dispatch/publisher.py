"""The one thread of an API process that publishes: kombu blocks, asyncio must not."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[], object]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    gives_result: bool


class Publisher:
    """Runs blocking broker calls one after another in its own thread.

    One thread, because Celery's result backend and producer pool are per thread: a pool of short
    lived threads would open connections without end (CELERY.md 3.3).
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after what is queued."""
        self._jobs.put(None)
        self._thread.join(timeout=5)

    async def call(self, work: Callable[[], T]) -> T:
        """Run ``work`` in the publisher's thread and return what it returns."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, future, loop, gives_result=True))
        return await future

    def post(self, work: Callable[[], None], reply: asyncio.Future[Any]) -> None:
        """Run ``work``, to which somebody else will reply; if it fails, ``reply`` fails with it.

        So the event loop is not woken to hear that all went well.
        """
        self._jobs.put(_Job(work, reply, asyncio.get_running_loop(), gives_result=False))

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.future.done():  # nobody waits for it any more: do not hold up those behind it
                continue
            try:
                result = job.work()
            except Exception as error:  # noqa: BLE001  # it belongs to whoever awaits the future
                _settle(job, error=error)
            else:
                if job.gives_result:
                    _settle(job, result=result)


def _settle(job: _Job, *, result: object = None, error: Exception | None = None) -> None:
    def settle() -> None:
        if job.future.done():  # its request was cancelled
            return
        if error is not None:
            job.future.set_exception(error)
        else:
            job.future.set_result(result)

    if not job.loop.is_closed():
        job.loop.call_soon_threadsafe(settle)
