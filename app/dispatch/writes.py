"""Writes: the ledger first, then a nudge; and the wait for what was written."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

from redis.exceptions import RedisError

from app.dispatch.errors import BacklogError, NotReadyError
from app.dispatch.replies import Replies
from compose.plan import Plan
from compose.wire import names, presence
from compose.wire.presence import Directory
from indexstore.ledger import Ledger
from indexstore.model import Acceptance, Deletion, Document, Job

logger = logging.getLogger(__name__)

_POLL_S = 0.25  # how long a lost announcement of a job's end can go unnoticed
_SHARD_POLL_S = 0.02
_NUDGE_S = 0.25


class Writer:
    """Writes documents for one API process.

    The ledger is a blocking library, so its calls run in asyncio's thread pool; the search path
    never comes here.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        redis: Any,
        plan: Plan,
        replies: Replies,
        directory: Directory,
        api_id: str,
        most_fresh: int,
    ) -> None:
        self._ledger = ledger
        self._redis = redis
        self._plan = plan
        self._replies = replies
        self._directory = directory
        self._most_fresh = most_fresh
        self._api_id = api_id

    async def submit(
        self,
        documents: Sequence[Document],
        *,
        job_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Acceptance:
        """Write the documents to the ledger; from then on nothing may lose them.

        Raises:
            BacklogError: a shard has too much already that nobody builds into segments.
        """
        for queue, fresh in self.backlog():
            if fresh > 2 * self._most_fresh:
                raise BacklogError(queue, fresh, 2 * self._most_fresh)
        accepted = await asyncio.to_thread(
            self._ledger.accept,
            self._plan.collection,
            documents,
            job_id=job_id,
            lease_s=0.0,
            idempotency_key=idempotency_key,
            reply_to=self._api_id,
        )
        await self._nudge("rpush", names.poke_key(self._plan.collection))
        return accepted

    def backlog(self) -> list[tuple[str, int]]:
        """Return the queues of shards with too many rows without a segment, and how many."""
        return [
            (self._plan.indexes[index].queue(shard), fresh)
            for (index, shard, _), fresh in self._directory.fresh_rows().items()
            if fresh > self._most_fresh
        ]

    async def open_job(self, kind: str, *, total: int, payload: str) -> Job:
        """Open a job that the workers do by themselves; the dispatcher is told at once."""
        job = await asyncio.to_thread(
            self._ledger.open_job,
            self._plan.collection,
            kind=kind,
            total=total,
            reply_to=self._api_id,
            payload=payload,
        )
        await self._nudge("rpush", names.poke_key(self._plan.collection))
        return job

    async def finished(self, job_id: str, timeout_s: float) -> Job:
        """Return a job once it has ended, or as it is when the time is up."""
        deadline = time.monotonic() + timeout_s
        return await self._until(lambda job: job.finished_at is not None, job_id, deadline)

    async def _until(self, is_over: Callable[[Job], bool], job_id: str, deadline: float) -> Job:
        with self._replies.job_ends(job_id) as ended:
            job = await asyncio.to_thread(self._ledger.job, job_id)
            while not is_over(job) and (left := deadline - time.monotonic()) > 0:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), min(_POLL_S, left))
                ended.clear()
                job = await asyncio.to_thread(self._ledger.job, job_id)
        return job

    async def delete(self, doc_ids: Sequence[str], *, if_match: int | None = None) -> Deletion:
        """Delete documents; when this returns they are gone from every answer."""
        done = await asyncio.to_thread(
            self._ledger.delete, self._plan.collection, doc_ids, if_match=if_match
        )
        await self._nudge("publish", names.log_channel(self._plan.collection))
        return done

    async def patch(
        self, doc_id: str, *, tags: Any = None, weight: float | None = None,
        if_match: int | None = None,
    ) -> int:  # fmt: skip
        """Change tags and weight without encoding again; return the new version."""
        version = await asyncio.to_thread(
            self._ledger.patch,
            self._plan.collection,
            doc_id,
            tags=tags,
            weight=weight,
            if_match=if_match,
        )
        await self._nudge("publish", names.log_channel(self._plan.collection))
        return version

    async def wait(
        self, job_id: str, until: Literal["indexed", "searchable"], timeout_s: float
    ) -> Job:
        """Wait until the job ends (and its documents can be found), or the time is up."""
        deadline = time.monotonic() + timeout_s
        job = await self._until(lambda job: not job.pending, job_id, deadline)
        if until == "searchable" and not job.pending:
            await self._until_applied(deadline)
        return job

    async def min_seq(self, token: int, timeout_s: float) -> int:
        """Return the sequence number a shard must have applied to show all up to ``token``.

        Raises:
            NotReadyError: documents up to the token are still being encoded when time is up, or
                not all shards serve the generation yet that has them.
        """
        deadline = time.monotonic() + timeout_s
        collection = self._plan.collection
        while await asyncio.to_thread(self._ledger.has_pending, collection, token):
            if time.monotonic() >= deadline:
                raise NotReadyError(
                    f"documents up to token {token} are not indexed yet",
                    "repeat the request with a longer timeout_ms, or without the token",
                )
            await asyncio.sleep(_SHARD_POLL_S)
        info = await asyncio.to_thread(self._ledger.collection, collection)
        while 0 < self._directory.generation() < info.generation:
            if time.monotonic() >= deadline:
                raise NotReadyError(
                    f"not every shard serves generation {info.generation} yet",
                    "repeat the request with a longer timeout_ms, or without the token",
                )
            await asyncio.sleep(_SHARD_POLL_S)
        return info.last_seq

    async def _until_applied(self, deadline: float) -> None:
        """Wait until every shard alive has applied all that is in the log by now."""
        if not self._plan.indexes:
            return  # nothing of this flow is ever searched
        info = await asyncio.to_thread(self._ledger.collection, self._plan.collection)
        while time.monotonic() < deadline:
            applied = await self._applied(info.generation)
            if applied and min(applied) >= info.last_seq:
                return
            await asyncio.sleep(_SHARD_POLL_S)

    async def _applied(self, generation: int) -> list[int]:
        """Return how far each shard alive has read; nothing while the broker is away.

        A shard that still serves a former generation has read nothing of this one.
        """
        try:
            async with asyncio.timeout(_NUDGE_S):
                workers = await presence.read(self._redis)
        except (RedisError, OSError):
            return []
        return [
            shard["applied_seq"] if shard["generation"] >= generation else 0
            for worker in workers
            for shard in worker.shards
            if shard["serves"]
        ]

    async def _nudge(self, command: str, key: str) -> None:
        """Wake who works on it; they poll as well, so a broker that is away costs only time."""
        try:
            async with asyncio.timeout(_NUDGE_S):
                await getattr(self._redis, command)(key, b"")
        except (RedisError, OSError) as error:
            logger.warning("the broker is away (%s); the write is safe in the ledger", error)
