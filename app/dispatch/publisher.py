"""The one thread of an API process that publishes: kombu blocks, asyncio must not."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
_Job = tuple[Callable[[], object], asyncio.Future[object], asyncio.AbstractEventLoop]

logger = logging.getLogger(__name__)


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
        future: asyncio.Future[object] = loop.create_future()
        self._jobs.put((work, future, loop))
        return await future  # type: ignore[return-value]  # what work returned, see _run

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, future, loop = job
            if future.done():  # nobody waits for it any more: do not hold up those behind it
                continue
            try:
                result = work()
            except Exception as error:  # noqa: BLE001  # it belongs to whoever awaits the future
                _settle(loop, future, error=error)
            else:
                _settle(loop, future, result=result)


def _settle(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[object],
    *,
    result: object = None,
    error: Exception | None = None,
) -> None:
    def settle() -> None:
        if future.done():  # its request was cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    if not loop.is_closed():
        loop.call_soon_threadsafe(settle)
