"""The replies to one API process: a list in Redis, read by one loop, awaited without a thread."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from redis.exceptions import RedisError

from compose.wire import codec, names
from compose.wire.messages import Reply

logger = logging.getLogger(__name__)

_AT_ONCE = 64
_SERVER_WAIT_S = 1  # Redis answers nil after it; a reply in between comes at once


class Replies:
    """Hands each reply to whoever awaits its batch, and each finished job to its waiters."""

    def __init__(self, redis: Any, api_id: str) -> None:
        self._redis = redis
        self._key = names.reply_key(api_id)
        self._batches: dict[str, asyncio.Future[Reply]] = {}
        self._jobs: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def expect(
        self, batch_id: str, future: asyncio.Future[Reply] | None = None
    ) -> Iterator[asyncio.Future[Reply]]:
        """Give the future of the reply to ``batch_id``; one that comes later is dropped.

        Args:
            batch_id: what the reply will name.
            future: of an earlier batch with the same queries: whichever reply comes first counts.
        """
        future = future or asyncio.get_running_loop().create_future()
        self._batches[batch_id] = future
        try:
            yield future
        finally:
            del self._batches[batch_id]

    @contextmanager
    def job_ends(self, job_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set when the job's end is announced."""
        event = asyncio.Event()
        self._jobs[job_id].add(event)
        try:
            yield event
        finally:
            self._jobs[job_id].discard(event)
            if not self._jobs[job_id]:
                del self._jobs[job_id]

    async def run(self) -> None:
        """Read replies until cancelled; a broker that goes away is waited for."""
        while True:
            try:
                popped = await self._redis.blmpop(
                    _SERVER_WAIT_S, 1, self._key, direction="LEFT", count=_AT_ONCE
                )
            except (RedisError, OSError) as error:
                logger.warning("replies: %s; trying again", error)
                await asyncio.sleep(0.1)
                continue
            for raw in popped[1] if popped else ():
                self._deliver(raw)

    def _deliver(self, raw: bytes) -> None:
        try:
            message = codec.loads(raw)
            if "job_id" in message:
                for event in self._jobs.get(message["job_id"], ()):
                    event.set()
                return
            answer = Reply.from_wire(message)
        except codec.WireFormatError:
            logger.exception("replies: an answer could not be read")
            return
        future = self._batches.get(answer.batch_id)
        if future is not None and not future.done():
            future.set_result(answer)
