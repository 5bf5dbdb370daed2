"""One batch of queries, from the API to the workers and back within its deadline."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from kombu.exceptions import KombuError
from numpy.typing import NDArray
from redis.exceptions import RedisError

from app.dispatch.errors import DeadlineError, NotReadyError, StageError
from app.dispatch.publisher import Publisher
from app.dispatch.replies import Replies
from compose.plan import Plan
from compose.wire import chords, names
from compose.wire.chords import Call
from compose.wire.messages import QueryBatch, Reply, SearchParams
from compose.wire.presence import Directory
from compose.wire.scatter import order_of, scatter

QUERY_TASK = {"preprocess": names.PREPROCESS_QUERY, "encode": names.ENCODE_QUERY}
_REDUCE_TIME_S = 0.25  # kept back from the deadline, for a partial answer to be reduced
_REDUCE_SHARE = 0.2  # of short deadlines, the share kept back
_REFILL_FACTOR = 8


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One query as the API understood it."""

    text: str | None = None
    vector: NDArray[np.float32] | None = None
    limit: int = 10
    offset: int = 0
    score_threshold: float | None = None
    filter: Mapping[str, Any] | None = None
    exact: bool = False
    ef: int | None = None
    group_size: int = 3
    with_content: bool = True
    with_vector: bool = False
    highlight: bool = False
    explain: bool = False
    trace: bool = False
    timeout_s: float = 10.0
    token: str | None = None
    mode: Literal["vector", "text", "hybrid"] | None = None


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What a query got: its hits as JSON, and how much of the index answered."""

    hits_json: bytes
    coverage: Mapping[str, Any]
    took_ms: float
    trace: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What queries must have in common to travel together."""

    params: SearchParams
    timeout_s: float
    min_seq: int
    is_encoded: bool  # whether the queries enter at the chord: vectors, and full-text searches

    def __hash__(self) -> int:
        """Hash what differs most; a filter is a mapping and has no hash of its own."""
        params = self.params
        return hash((params.limit, params.offset, params.mode, self.timeout_s, self.min_seq))


class QueryRunner:
    """Sends batches of queries and waits for their replies."""

    def __init__(
        self,
        app: Any,
        *,
        plan: Plan,
        api_id: str,
        publisher: Publisher,
        replies: Replies,
        directory: Directory,
        priority: int,
    ) -> None:
        self._app = app
        self._plan = plan
        self._api_id = api_id
        self._publisher = publisher
        self._replies = replies
        self._directory = directory
        self._priority = priority

    async def run(
        self, key: BatchKey, queries: Sequence[SearchQuery]
    ) -> Sequence[SearchAnswer | Exception]:
        """Answer a batch; one answer or exception a query, in order.

        Raises:
            NotReadyError: no shard is there, or the broker is not. DeadlineError: too late.
            StageError: a stage failed on the whole batch.
        """
        started = time.perf_counter()
        deadline = time.time() + key.timeout_s
        reply = await self._exchange(self._batch(key, queries, deadline), deadline)
        answers = _answers(reply, queries, started)
        for query in reply.short:
            if key.params.slack < key.params.limit * _REFILL_FACTOR**3:
                answers[query] = await self._refill(key, queries[query], deadline)
        return answers

    async def embed(self, texts: Sequence[str], *, timeout_s: float) -> NDArray[np.float32]:
        """Return the embedding of each text as one chunk: float32 (n, d).

        Raises:
            NotReadyError, DeadlineError, StageError: as for a search.
        """
        encoders = [stage.index for stage in self._plan.stages if stage.kind == "encode"]
        if not encoders:
            raise StageError("encode", "this flow has no encoder", 422)
        deadline = time.time() + timeout_s
        batch = QueryBatch(
            batch_id=uuid.uuid4().hex,
            reply_to=self._api_id,
            collection=self._plan.collection,
            deadline=deadline,
            queries=len(texts),
            params=SearchParams().to_wire(),
            targets=(),
            stage=encoders[0],
            chunk_texts=tuple(texts),
            owners=np.arange(len(texts), dtype=np.int32),
            weights=np.ones(len(texts), np.float32),
            sent_at=time.time(),
            wants="embeddings",
        )
        reply = await self._exchange(batch, deadline)
        vector = self._plan.indexes[0].vector if self._plan.indexes else ""
        return reply.embeddings[vector]

    async def _refill(
        self, key: BatchKey, query: SearchQuery, deadline: float
    ) -> SearchAnswer | Exception:
        """Ask again for more candidates: too many of the first were dead by the ledger's word."""
        params = replace(key.params, slack=max(64, key.params.slack * _REFILL_FACTOR))
        left = max(0.001, deadline - time.time())
        answers = await self.run(replace(key, params=params, timeout_s=left), [query])
        return answers[0]

    def _batch(self, key: BatchKey, queries: Sequence[SearchQuery], deadline: float) -> QueryBatch:
        targets, absent = self._targets(key.params.mode)
        batch = QueryBatch(
            batch_id=uuid.uuid4().hex,
            reply_to=self._api_id,
            collection=self._plan.collection,
            deadline=deadline,
            queries=len(queries),
            params=key.params.to_wire(),
            targets=targets,
            absent=absent,
            min_seq=key.min_seq,
            texts=tuple(query.text or "" for query in queries),
            sent_at=time.time(),
        )
        if not key.is_encoded:
            return batch
        vectors = [query.vector for query in queries if query.vector is not None]
        if not vectors:
            return replace(batch, stage=len(self._plan.stages))
        rows = np.stack(vectors)
        embeddings = {index.vector: rows for index in self._plan.indexes if index.kind == "vector"}
        return replace(
            batch,
            stage=len(self._plan.stages),
            embeddings=embeddings,
            owners=np.arange(len(queries), dtype=np.int32),
            weights=np.ones(len(queries), np.float32),
        )

    def _targets(self, mode: str) -> tuple[tuple[tuple[int, int], ...], int]:
        """Return the shards to ask and how many cannot be asked.

        Raises:
            NotReadyError: none can be asked.
        """
        wanted = [
            (position, shard)
            for position, index in enumerate(self._plan.indexes)
            if mode in ("hybrid", index.kind)
            for shard in range(index.shards)
        ]
        ready = self._directory.ready_shards()
        targets = tuple(target for target in wanted if target in ready)
        if not targets:
            queue = self._plan.indexes[wanted[0][0]].queue(wanted[0][1]) if wanted else "search"
            raise NotReadyError(
                "no shard is served at the moment",
                f"start one with `celery -A app worker -Q {queue}`, or wait until it has loaded",
            )
        return targets, len(wanted) - len(targets)

    async def _exchange(self, batch: QueryBatch, deadline: float) -> Reply:
        """Publish the batch and await its reply; a partial one shortly before the deadline."""
        left = deadline - time.time()
        margin = min(_REDUCE_TIME_S, left * _REDUCE_SHARE)
        with self._replies.expect(batch.batch_id) as future:
            await self._publish(batch)
            reply = await _within(future, left - margin)
            if reply is None:
                reply = await self._partial(batch, future, deadline)
        if reply.failed_stage is not None:
            raise StageError(reply.failed_stage, reply.failure or "it failed", reply.status)
        return reply

    async def _publish(self, batch: QueryBatch) -> None:
        try:
            await self._publisher.call(lambda: self._send(batch))
        except (KombuError, RedisError, OSError) as error:
            raise NotReadyError(
                f"the broker does not take messages ({type(error).__name__}: {error})",
                "check that it runs and that GNES_BROKER_URL names it",
            ) from error

    def _send(self, batch: QueryBatch) -> None:
        if batch.stage >= len(self._plan.stages):
            scatter(self._app, self._plan, batch, priority=self._priority)
            return
        stage = self._plan.stages[batch.stage]
        call = Call(QUERY_TASK[stage.kind], stage.queue, batch.to_wire())
        chords.send(self._app, call, priority=self._priority)

    async def _partial(
        self, batch: QueryBatch, future: asyncio.Future[Reply], deadline: float
    ) -> Reply:
        """Close the chord and have what came so far reduced.

        Raises:
            DeadlineError: nothing came, or it could not be reduced in time.
        """
        was_open, parts = await self._publisher.call(lambda: self._close(batch.batch_id))
        if not future.done() and not was_open and not parts:
            raise self._late(batch, self._plan.stages[batch.stage :])
        if parts:
            order = order_of(batch).to_wire()
            await self._publisher.call(lambda: self._reduce(parts, order))
        reply = await _within(future, deadline - time.time())
        if reply is None:
            raise self._late(batch, ())
        return reply

    def _close(self, batch_id: str) -> tuple[bool, list[Any] | None]:
        was_open = chords.is_open(self._app, batch_id)
        return was_open, chords.close(self._app, batch_id)

    def _reduce(self, parts: list[Any], order: Mapping[str, Any]) -> None:
        self._app.send_task(
            names.REDUCE,
            args=(parts, order),
            queue=names.REDUCE_QUEUE,
            priority=self._priority,
            ignore_result=True,
            argsrepr="",
            kwargsrepr="",
        )

    def _late(self, batch: QueryBatch, stages: Sequence[Any]) -> DeadlineError:
        """Return the error that names the likeliest culprit: a queue without workers first."""
        path = [(stage.kind, stage.queue) for stage in stages]
        if not path:
            path = [
                ("search", self._plan.indexes[index].queue(shard)) for index, shard in batch.targets
            ] + [("reduce", names.REDUCE_QUEUE)]
        orphans = [step for step in path if not self._directory.serving(step[1])]
        stage, queue = (orphans or path)[0]
        workers = len(self._directory.serving(queue))
        return DeadlineError(stage, queue, time.time() - batch.sent_at, workers)


async def _within(future: asyncio.Future[Reply], seconds: float) -> Reply | None:
    """Return the future's result, or None when it takes longer than ``seconds``."""
    done, _ = await asyncio.wait([future], timeout=max(0.0, seconds))
    return future.result() if done else None


def _answers(
    reply: Reply, queries: Sequence[SearchQuery], started: float
) -> list[SearchAnswer | Exception]:
    took_ms = round(1e3 * (time.perf_counter() - started), 3)
    coverage: dict[str, Any] = {
        "shards_total": reply.shards_total,
        "shards_ok": reply.shards_ok,
        "degraded": reply.shards_ok < reply.shards_total,
    }
    if reply.errors:
        coverage["errors"] = list(reply.errors)
    trace = {
        "batch": len(queries),
        "stages": [
            {"stage": stage, "queue_ms": round(1e3 * waited, 3), "work_ms": round(1e3 * worked, 3)}
            for stage, waited, worked in reply.spans
        ],
    }
    failures = dict(reply.failures)
    return [
        StageError("preprocess", failures[query], 422)
        if query in failures
        else SearchAnswer(hits, coverage, took_ms, trace if queries[query].trace else None)
        for query, hits in enumerate(reply.hits)
    ]
