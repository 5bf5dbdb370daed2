"""One batch of queries, from the API to the workers and back within its deadline."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dispatch.errors import DeadlineError, NotReadyError, StageError
from app.dispatch.exchange import Exchange, checked, within
from app.dispatch.model import BatchKey, SearchAnswer, SearchQuery
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


class QueryRunner:
    """Sends batches of queries and waits for their replies."""

    def __init__(
        self,
        exchange: Exchange,
        *,
        plan: Plan,
        api_id: str,
        directory: Directory,
    ) -> None:
        self._exchange = exchange
        self._plan = plan
        self._api_id = api_id
        self._directory = directory

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
        reply = await self._answer(self._batch(key, queries, deadline), deadline)
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
        reply = await self._answer(batch, deadline)
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
        batch = replace(batch, stage=len(self._plan.stages))
        return _with_vectors(batch, self._plan, queries)

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

    async def _answer(self, batch: QueryBatch, deadline: float) -> Reply:
        """Publish the batch and await its reply; a partial one shortly before the deadline."""
        left = deadline - time.time()
        margin = min(_REDUCE_TIME_S, left * _REDUCE_SHARE)
        with self._exchange.expect(batch.batch_id) as future:
            await self._exchange.post(partial(self._send, batch))
            reply = await within(future, left - margin)
            if reply is None:
                reply = await self._partial(batch, future, deadline)
        return checked(reply)

    def _send(self, batch: QueryBatch, app: Any, priority: int) -> None:
        if batch.stage >= len(self._plan.stages):
            scatter(app, self._plan, batch, priority=priority)
            return
        stage = self._plan.stages[batch.stage]
        call = Call(QUERY_TASK[stage.kind], stage.queue, batch.to_wire())
        chords.send(app, call, priority=priority)

    async def _partial(
        self, batch: QueryBatch, future: asyncio.Future[Reply], deadline: float
    ) -> Reply:
        """Close the chord and have what came so far reduced.

        Raises:
            DeadlineError: nothing came, or it could not be reduced in time.
        """
        was_open, parts = await self._exchange.post(partial(_close, batch.batch_id))
        if not future.done() and not was_open and not parts:
            raise self._late(batch, self._plan.stages[batch.stage :])
        if parts:
            await self._exchange.post(partial(_reduce, parts, order_of(batch).to_wire()))
        reply = await within(future, deadline - time.time())
        if reply is None:
            raise self._late(batch, ())
        return reply

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


def _close(batch_id: str, app: Any, _priority: int) -> tuple[bool, list[Any] | None]:
    """Return whether the chord was published, and its parts so far."""
    was_open = chords.is_open(app, batch_id)
    return was_open, chords.close(app, batch_id)


def _reduce(parts: list[Any], order: Mapping[str, Any], app: Any, priority: int) -> None:
    """Have the parts reduced that came in time."""
    app.send_task(
        names.REDUCE,
        args=(parts, order),
        queue=names.REDUCE_QUEUE,
        priority=priority,
        ignore_result=True,
        argsrepr="",
        kwargsrepr="",
    )


def _with_vectors(batch: QueryBatch, plan: Plan, queries: Sequence[SearchQuery]) -> QueryBatch:
    """Return the batch with the queries' own vectors, for every vector index of the flow."""
    rows: list[NDArray[np.float32]] = []
    weights: list[float] = []
    owners: list[int] = []
    for number, query in enumerate(queries):
        if query.vector is None:
            continue
        block = np.atleast_2d(query.vector)
        rows.append(block)
        weights.extend(query.vector_weights or (1.0,) * len(block))
        owners.extend([number] * len(block))
    if not rows:
        return batch
    matrix = np.concatenate(rows).astype(np.float32, copy=False)
    return replace(
        batch,
        embeddings={index.vector: matrix for index in plan.indexes if index.kind == "vector"},
        owners=np.array(owners, np.int32),
        weights=np.array(weights, np.float32),
    )


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
