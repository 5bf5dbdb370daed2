"""One message out, one reply back: publishing and awaiting, with every failure named."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from app.dispatch.errors import DeadlineError, NotReadyError, StageError
from app.dispatch.publisher import Publisher
from app.dispatch.replies import Replies
from compose.wire.messages import Reply

T = TypeVar("T")
Send = Callable[[Any, int], T]  # what to do with the Celery app and the priority


class Exchange:
    """The way from one API process to the workers and back."""

    def __init__(self, app: Any, *, publisher: Publisher, replies: Replies, priority: int) -> None:
        self._app = app
        self._publisher = publisher
        self._replies = replies
        self._priority = priority

    async def post(self, send: Send[T], *, timeout_s: float) -> T:
        """Do something with the broker, outside the event loop.

        Raises:
            NotReadyError: the broker does not answer. DeadlineError: not within ``timeout_s``.
        """
        limit = asyncio.timeout(max(0.0, timeout_s))
        try:
            async with limit:
                return await self._publisher.call(lambda: send(self._app, self._priority))
        except (KombuError, RedisError, OSError) as error:  # TimeoutError is an OSError
            if limit.expired():
                raise DeadlineError("publish", "broker", timeout_s, 1) from error
            raise NotReadyError(
                f"the broker does not answer ({type(error).__name__}: {error})",
                "check that it runs and that GNES_BROKER_URL names it",
            ) from error

    @contextmanager
    def expect(
        self, batch_id: str, future: asyncio.Future[Reply] | None = None
    ) -> Iterator[asyncio.Future[Reply]]:
        """Give the future of the reply to ``batch_id``, which may be that of an earlier batch."""
        with self._replies.expect(batch_id, future) as found:
            yield found

    async def ask(
        self, batch_id: str, send: Send[None], *, timeout_s: float, stage: str, queue: str
    ) -> Reply:
        """Send something and return its reply.

        Raises:
            NotReadyError: the broker does not answer. StageError: a stage failed.
            DeadlineError: no reply in time; it names ``stage`` and ``queue``.
        """
        with self.expect(batch_id) as future:
            end = time.monotonic() + timeout_s
            await self.post(send, timeout_s=timeout_s)
            reply = await within(future, end - time.monotonic())
        if reply is None:
            raise DeadlineError(stage, queue, timeout_s, 1)
        return checked(reply)


async def within(future: asyncio.Future[Reply], seconds: float) -> Reply | None:
    """Return the future's result, or None when it takes longer than ``seconds``."""
    done, _ = await asyncio.wait([future], timeout=max(0.0, seconds))
    return future.result() if done else None


def checked(reply: Reply) -> Reply:
    """Return the reply.

    Raises:
        StageError: it says that a stage failed.
    """
    if reply.failed_stage is not None:
        raise StageError(reply.failed_stage, reply.failure or "it failed", reply.status)
    return reply
