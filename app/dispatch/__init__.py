"""From HTTP to Celery: one ``Dispatch`` an API process."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import redis.asyncio as aioredis
from numpy.typing import NDArray
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from app.dispatch.asking import asked_by
from app.dispatch.coalescer import Coalescer
from app.dispatch.depths import Depths
from app.dispatch.errors import NotReadyError, StageError
from app.dispatch.exchange import Exchange
from app.dispatch.inspections import Inspector
from app.dispatch.media_tasks import MediaTasks
from app.dispatch.model import BatchKey, SearchAnswer, SearchQuery
from app.dispatch.publisher import Publisher
from app.dispatch.queries import QueryRunner
from app.dispatch.replies import Replies
from app.dispatch.writes import Writer
from app.settings import Settings
from compose.plan import Plan
from compose.wire import presence
from compose.wire.messages import Reply, SearchParams
from compose.wire.presence import Announcement, Directory
from indexstore.layouts import Layouts
from indexstore.ledger import Ledger
from indexstore.model import Acceptance, Deletion, Document, Job

__all__ = ["Dispatch", "SearchAnswer", "SearchQuery"]

_BATCH = 64  # queries in one chord
_VECTOR_IN_FLIGHT = 2  # one searches while the next is on its way
_TEXT_IN_FLIGHT = 4  # texts pass two stages more
_PRESENCE_S = 0.2
_LOOK_TIMEOUT_S = 1.0
_LATE_S = 0.1  # beyond its deadline a query waits for its batch to say what was late


class Dispatch:
    """Everything an API process needs to answer: made in the lifespan, kept on ``app.state``.

    Args:
        app: the Celery app. settings, plan: of this deployment. ledger: its ledger.
    """

    def __init__(self, app: Any, *, settings: Settings, plan: Plan, ledger: Ledger) -> None:
        self._plan = plan
        self.ledger = ledger
        self.settings = settings
        self.api_id = uuid.uuid4().hex
        layouts = Layouts(ledger.database).read(plan.collection)
        self.directory = Directory(
            [
                layouts[index.name].shards if index.name in layouts else index.shards
                for index in plan.indexes
            ]
        )
        self.depths = Depths(app)
        self._app = app
        self._publisher = Publisher()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect, start the publisher and the loops; the broker need not be there yet."""
        self.redis = aioredis.Redis.from_url(
            self._app.conf.result_backend,
            socket_connect_timeout=2,
            socket_timeout=10,
            health_check_interval=10,
            retry=Retry(NoBackoff(), 1),  # for a connection that a restarted broker has closed
        )
        self._replies = Replies(self.redis, self.api_id)
        self._writer = Writer(
            ledger=self.ledger,
            redis=self.redis,
            plan=self._plan,
            replies=self._replies,
            directory=self.directory,
            api_id=self.api_id,
            most_fresh=self.settings.most_fresh_rows,
        )
        exchange = Exchange(
            self._app,
            publisher=self._publisher,
            replies=self._replies,
            directory=self.directory,
        )
        runner = QueryRunner(
            exchange, plan=self._plan, api_id=self.api_id, directory=self.directory
        )
        self.inspector = Inspector(
            exchange, plan=self._plan, api_id=self.api_id, directory=self.directory
        )
        self._media_tasks = MediaTasks(exchange, api_id=self.api_id, directory=self.directory)
        self._runner = runner
        self._vectors = self._coalescer(runner, _VECTOR_IN_FLIGHT)
        self._texts = self._coalescer(runner, _TEXT_IN_FLIGHT)
        self._publisher.start()
        await self._look()
        self._tasks = [
            asyncio.create_task(self._replies.run(), name="replies"),
            asyncio.create_task(self._watch(), name="presence"),
        ]

    async def stop(self) -> None:
        """Stop the loops and the publisher."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(self._publisher.stop)
        await asyncio.to_thread(self.depths.close)
        await self.redis.aclose()

    async def search(self, query: SearchQuery) -> SearchAnswer:
        """Answer one query.

        Raises:
            OverloadedError: too many are waiting. NotReadyError: nobody can answer now.
            DeadlineError: a stage was too late. StageError: a stage refused the query.
        """
        min_seq = await self.min_seq(query.token, query.left_s)
        params = self._params(query)
        is_encoded = query.vector is not None or query.rows is not None or params.mode == "text"
        vectors = tuple(sorted(query.rows or ()))
        key = BatchKey(params, query.timeout_s, min_seq, is_encoded, query.modality, vectors)
        try:
            async with asyncio.timeout(query.left_s + _LATE_S):
                return await (self._vectors if is_encoded else self._texts).ask(key, query)
        except TimeoutError:
            raise self._runner.late(key, query.timeout_s - query.left_s) from None

    async def min_seq(self, token: str | None, timeout_s: float) -> int:
        """Return what a shard must have read to show all up to ``token``; 0 without a token."""
        if token is None:
            return 0
        return await self._writer.min_seq(int(token), timeout_s)

    async def embed(self, texts: Sequence[str], *, timeout_s: float) -> NDArray[np.float32]:
        """Return the flow's embedding of each text: float32 (n, d)."""
        return await self._runner.embed(texts, timeout_s=timeout_s)

    async def embed_content(
        self, modality: str, content: str | bytes, *, timeout_s: float
    ) -> Reply:
        """Return the embeddings of one text or medium, by vector, with its chunks' weights."""
        return await self._runner.embed_content(modality, content, timeout_s=timeout_s)

    async def media_task(
        self, task: str, queue: str, arguments: Mapping[str, Any], *, timeout_s: float
    ) -> tuple[Any, ...]:
        """Have a worker do something with a medium, and return what came of it."""
        return await self._media_tasks.run(task, queue, arguments, timeout_s=timeout_s)

    async def submit(
        self,
        documents: Sequence[Document],
        *,
        job_id: str | None = None,
        idempotency_key: str | None = None,
    ) -> Acceptance:
        """Accept documents: the ledger first, so that nothing may lose them afterwards."""
        return await self._writer.submit(documents, job_id=job_id, idempotency_key=idempotency_key)

    def backlog(self) -> list[tuple[str, int]]:
        """Return the queues of shards with too many rows without a segment, and how many."""
        return self._writer.backlog()

    async def delete(self, doc_ids: Sequence[str], if_match: int | None = None) -> Deletion:
        """Delete documents by id; they are gone from every answer when this returns."""
        return await self._writer.delete(doc_ids, if_match=if_match)

    async def patch(
        self,
        doc_id: str,
        *,
        tags: Mapping[str, Any] | None = None,
        weight: float | None = None,
        if_match: int | None = None,
    ) -> int:
        """Change tags and weight of a document without encoding it again."""
        return await self._writer.patch(doc_id, tags=tags, weight=weight, if_match=if_match)

    async def wait(
        self, job_id: str, until: Literal["indexed", "searchable"], timeout_s: float
    ) -> Job:
        """Wait for a job, and for the shards to have read it, within ``timeout_s`` seconds."""
        return await self._writer.wait(job_id, until, timeout_s)

    async def open_job(self, kind: str, *, total: int, payload: str) -> Job:
        """Open a job that the workers do by themselves, such as a training."""
        return await self._writer.open_job(kind, total=total, payload=payload)

    async def finished(self, job_id: str, timeout_s: float) -> Job:
        """Return a job once it has ended, or as it is when the time is up."""
        return await self._writer.finished(job_id, timeout_s)

    @property
    def plan(self) -> Plan:
        """The plan with as many shards as serve each index now."""
        return self._plan.with_shards(self.directory.serving_shards)

    @property
    def widest_plan(self) -> Plan:
        """The plan with all shards whose queues are in use, those that are being made as well."""
        return self._plan.with_shards(self.directory.widest_shards)

    def workers(self) -> list[Announcement]:
        """Return what the live workers say of themselves."""
        return self.directory.workers

    async def is_broker_alive(self) -> bool:
        """Tell whether the broker answers."""
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                return bool(await self.redis.ping())
        except (RedisError, OSError):
            return False

    def _params(self, query: SearchQuery) -> SearchParams:
        kinds = {index.kind for index in self._plan.indexes}
        mode = query.mode or ("vector" if "vector" in kinds else "text")
        wanted = kinds if mode == "hybrid" else {mode}
        if not wanted <= kinds or (mode == "hybrid" and len(kinds) < 2):  # noqa: PLR2004
            has = " and ".join(sorted(kinds)) or "no"
            raise StageError("search", f"mode {mode!r} needs an index this flow lacks: it has {has}"
                             " indexes", 422)  # fmt: skip
        return SearchParams(
            limit=query.limit,
            offset=query.offset,
            score_threshold=query.score_threshold,
            filter=query.filter,
            exclude=query.exclude,
            exact=query.exact,
            ef=query.ef,
            group_size=query.group_size,
            with_content=query.with_content,
            with_vector=query.with_vector,
            highlight=query.highlight,
            explain=query.explain,
            mode=mode,
            asked=asked_by(query, self.plan, mode),
            weights=query.weights,
        )

    def _coalescer(
        self, runner: QueryRunner, in_flight: int
    ) -> Coalescer[BatchKey, SearchQuery, SearchAnswer]:
        return Coalescer(
            runner.run,
            in_flight=max(1, in_flight // self.settings.api_processes),
            most=_BATCH,
            capacity=self.settings.limits.max_pending_queries,
        )

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_PRESENCE_S)
            await self._look()

    async def _look(self) -> None:
        """Read who is there; while the broker is away the last view stands."""
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                self.directory.update(await presence.read(self.redis))
        except (RedisError, OSError):
            self.directory.lose()


def not_ready_reason(dispatch: Dispatch) -> NotReadyError | None:
    """Return why queries cannot be answered in full now; None when they can."""
    for queue in dispatch.plan.queues():
        if not dispatch.directory.serving(queue):
            return NotReadyError(
                f"nobody consumes queue {queue!r}", f"start `celery -A app worker -Q {queue}`"
            )
    return None
