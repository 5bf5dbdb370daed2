"""One batch of queries, from the API to the workers and back within its deadline."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from app.dispatch.errors import DeadlineError, DispatchError, NotReadyError, StageError
from app.dispatch.exchange import Exchange, Step, Way, checked, within
from app.dispatch.model import BatchKey, SearchAnswer, SearchQuery
from compose.plan import Plan
from compose.wire import chords, names
from compose.wire.chords import Call
from compose.wire.lengths import lengths
from compose.wire.messages import QueryBatch, Reply, SearchParams, Target
from compose.wire.presence import Directory
from compose.wire.scatter import order_of, scatter

T = TypeVar("T")

QUERY_TASK = {"preprocess": names.PREPROCESS_QUERY, "encode": names.ENCODE_QUERY}
_REDUCE_TIME_S = 0.25  # kept back from the deadline, for a partial answer to be reduced
_REDUCE_SHARE = 0.2  # of short deadlines, the share kept back
_REFILL_FACTOR = 8
_LOCATE_S = 0.2  # what finding a late batch may take


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
        self._way = Way(self._send, self._steps, self._afresh)

    async def run(
        self, key: BatchKey, queries: Sequence[SearchQuery]
    ) -> Sequence[SearchAnswer | Exception]:
        """Answer a batch; one answer or exception a query, in order.

        Raises:
            NotReadyError: no shard is there, or the broker is not. DeadlineError: too late.
            StageError: a stage failed on the whole batch.
        """
        started = time.perf_counter()
        # Each query is dropped at its own deadline; the last of them bounds the batch.
        deadline = max(query.deadline for query in queries)
        reply = await self._answer(self._batch(key, queries, deadline))
        answers = _answers(reply, queries, started)
        for query in reply.short:
            if key.params.slack < key.params.limit * _REFILL_FACTOR**3:
                answers[query] = await self._refill(key, queries[query])
        return answers

    def late(self, key: BatchKey, waited_s: float) -> DeadlineError:
        """Return the error of a query whose time was up; it names the likeliest culprit."""
        stages = () if key.is_encoded else self._plan.stages
        path = self._path(stages, self._wanted(key.params.asked))
        return self._exchange.late_on(path, waited_s)

    async def embed(self, texts: Sequence[str], *, timeout_s: float) -> NDArray[np.float32]:
        """Return the embedding of each text as one chunk: float32 (n, d).

        Raises:
            NotReadyError, DeadlineError, StageError: as for a search.
        """
        encoders = [stage.index for stage in self._plan.stages if stage.kind == "encode"]
        if not encoders:
            raise StageError("encode", "this flow has no encoder", 422)
        batch = replace(
            self._order(len(texts), timeout_s),
            stage=encoders[0],
            chunk_texts=tuple(texts),
            owners=np.arange(len(texts), dtype=np.int32),
            weights=np.ones(len(texts), np.float32),
        )
        reply = await self._answer(batch)
        near = self._plan.asked("vector")
        vector = self._plan.indexes[near[0]].vector if near else ""
        return reply.embeddings[vector]

    async def embed_content(
        self, modality: str, content: str | bytes, *, timeout_s: float
    ) -> Reply:
        """Return the reply with the embeddings of one text or medium, cut as a query is.

        Args:
            modality: of the content.
            content: a text, the bytes of a medium, or the name of its blob.
            timeout_s: seconds to wait.

        Raises:
            NotReadyError, DeadlineError: as for a search. StageError: also where it cannot be cut.
        """
        is_text = modality == "text"
        batch = replace(
            self._order(1, timeout_s),
            stage=self._first_stage(modality),
            modality=modality,
            texts=(str(content),) if is_text else ("",),
            media=() if is_text else (content,),
        )
        reply = await self._answer(batch)
        for _, reason in reply.failures:
            raise StageError("preprocess", f"{modality}: {reason}", 422)
        return reply

    def _order(self, queries: int, timeout_s: float) -> QueryBatch:
        """Return a batch that asks no shard, but for embeddings."""
        now = time.time()
        return QueryBatch(
            batch_id=uuid.uuid4().hex,
            reply_to=self._api_id,
            collection=self._plan.collection,
            deadline=now + timeout_s,
            queries=queries,
            params=SearchParams().to_wire(),
            targets=(),
            generation=self._directory.generation(),
            sent_at=now,
            wants="embeddings",
        )

    async def _refill(self, key: BatchKey, query: SearchQuery) -> SearchAnswer | Exception:
        """Ask again for more candidates: too many of the first were dead by the ledger's word."""
        params = replace(key.params, slack=max(64, key.params.slack * _REFILL_FACTOR))
        try:
            answers = await self.run(replace(key, params=params), [query])
        except DispatchError as error:
            return error  # it is this query's alone
        return answers[0]

    def _batch(self, key: BatchKey, queries: Sequence[SearchQuery], deadline: float) -> QueryBatch:
        targets, absent = self._targets(key.params.asked)
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
            generation=self._directory.generation(),
            stage=self._first_stage(key.modality),
            modality=key.modality,
            texts=tuple(query.text or "" for query in queries),
            media=() if key.modality == "text" else tuple(query.medium or b"" for query in queries),
            sent_at=time.time(),
        )
        if not key.is_encoded:
            return batch
        batch = replace(batch, stage=len(self._plan.stages))
        return _with_vectors(batch, self._plan, queries, key.vectors)

    def _targets(self, asked: Sequence[int]) -> tuple[tuple[Target, ...], int]:
        """Return the shards to ask and how many cannot be asked.

        Raises:
            NotReadyError: none can be asked.
        """
        self._exchange.require_broker()
        wanted = self._wanted(asked)
        ready = self._directory.ready_shards()
        targets = tuple(target for target in wanted if target in ready)
        if not targets:
            queue = self._plan.indexes[wanted[0][0]].queue(wanted[0][1]) if wanted else "search"
            raise NotReadyError(
                "no shard is served at the moment",
                f"start one with `celery -A app worker -Q {queue}`, or wait until it has loaded",
            )
        return targets, len(wanted) - len(targets)

    def _wanted(self, asked: Sequence[int]) -> list[Target]:
        return [target for index in asked for target in self._directory.shards_of(index)]

    async def _answer(self, batch: QueryBatch) -> Reply:
        """Publish the batch and await its reply; a partial one shortly before the deadline."""
        since = time.time()
        end = batch.deadline - min(_REDUCE_TIME_S, (batch.deadline - since) * _REDUCE_SHARE)
        with self._exchange.conversation(batch, self._way) as talk:
            reply = await talk.replied(end)
            if reply is None:
                reply = await self._partial(talk.question, talk.reply, since)
        return checked(reply)

    def _steps(self, batch: QueryBatch) -> list[Step]:
        return self._path(self._plan.stages[batch.stage :], batch.targets)

    def _afresh(self, batch: QueryBatch) -> QueryBatch | None:
        """Return the batch under a new name, for the shards there are now; None without any."""
        fresh = replace(
            batch,
            batch_id=uuid.uuid4().hex,
            sent_at=time.time(),
            generation=self._directory.generation(),
        )
        if batch.wants == "embeddings":
            return fresh
        try:
            targets, absent = self._targets(batch.params["asked"])
        except NotReadyError:
            return None
        return replace(fresh, targets=targets, absent=absent)

    def _first_stage(self, modality: str) -> int:
        """Return the first stage that has a branch for ``modality``."""
        stages = self._plan.stages
        return next((one.index for one in stages if one.component(modality)), len(stages))

    def _send(self, app: Any, batch: QueryBatch) -> None:
        if batch.stage >= len(self._plan.stages):
            scatter(app, self._plan, batch)
            return
        stage = self._plan.stages[batch.stage]
        call = Call(QUERY_TASK[stage.kind], stage.queue, batch.to_wire())
        # By its name a batch that is late can be found.
        chords.send(app, call, awaited=True, task_id=batch.batch_id)

    async def _partial(
        self, batch: QueryBatch, future: asyncio.Future[Reply], since: float
    ) -> Reply:
        """Close the chord and have what came so far reduced.

        Raises:
            DeadlineError: nothing came, or it could not be reduced in time.
        """
        parts = await self._call(batch, partial(chords.close, group_id=batch.batch_id))
        if parts == [] and not future.done():
            raise await self._late(batch, self._steps(batch), since)
        if parts:
            order = order_of(batch).to_wire()
            await self._call(batch, partial(_reduce, parts=parts, order=order))
        reply = await within(future, batch.deadline - time.time())
        if reply is None:
            raise await self._late(batch, self._path((), batch.targets), since)
        return reply

    async def _call(self, batch: QueryBatch, work: Callable[[Any], T]) -> T:
        return await self._exchange.call(work, timeout_s=batch.deadline - time.time())

    async def _late(self, batch: QueryBatch, path: Sequence[Step], since: float) -> DeadlineError:
        """Return the error that names where the batch is, or the likeliest place on its path."""
        found = self._directory.holder_of(batch.batch_id)
        try:
            ask = partial(_first_waiting, queues=[queue for _, queue in path])
            found = found or await self._exchange.call(ask, timeout_s=_LOCATE_S)
        except (NotReadyError, DeadlineError):
            pass  # the path says enough
        here = [step for step in path if step[1] == found]
        return self._exchange.late_on(here or path, time.time() - since)

    def _path(self, stages: Sequence[Any], targets: Sequence[Target]) -> list[Step]:
        """Return every step that a batch has before it."""
        path = [(stage.kind, stage.queue) for stage in stages]
        path += [("search", self._plan.indexes[index].queue(shard)) for index, shard, _ in targets]
        return [*path, ("reduce", names.REDUCE_QUEUE)] if targets else path


def _first_waiting(app: Any, *, queues: Sequence[str]) -> str | None:
    """Return the first of some queues in which messages wait; None when in none."""
    with app.pool.acquire(block=True, timeout=1) as connection:
        waiting = lengths(connection, queues)
    return next((queue for queue in queues if waiting[queue]), None)


def _reduce(app: Any, *, parts: list[Any], order: Mapping[str, Any]) -> None:
    """Have the parts reduced that came in time."""
    chords.send(app, Call(names.REDUCE, names.REDUCE_QUEUE, parts), order, awaited=True)


def _with_vectors(
    batch: QueryBatch, plan: Plan, queries: Sequence[SearchQuery], vectors: Sequence[str]
) -> QueryBatch:
    """Return the batch with the queries' own vectors: those named, or one for every index."""
    if vectors:
        brought = [query.rows or {} for query in queries]
        return replace(
            batch,
            embeddings={name: np.stack([rows[name] for rows in brought]) for name in vectors},
            owners=np.arange(len(queries), dtype=np.int32),
            weights=np.ones(len(queries), np.float32),
        )
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
    failures = dict(reply.failures)
    return [
        StageError("preprocess", failures[query], 422)
        if query in failures
        else SearchAnswer(
            hits, coverage, took_ms, (*queries[query].spans, *reply.spans), len(queries)
        )
        for query, hits in enumerate(reply.hits)
    ]
