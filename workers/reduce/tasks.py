"""The reduce stage: the chord's callback merges the parts of the shards into the answer."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from celery import shared_task

from compose.plan import Plan
from compose.wire import codec, names
from compose.wire.fusing import depth_of
from compose.wire.messages import ReduceOrder, Reply, SearchParams, ShardPart
from indexstore.model import ChunkTable
from workers import metrics
from workers.answering import answer_failure, reply
from workers.reduce.answer import Answerer
from workers.reduce.ranking import Scorings, rankings_of, scorings_of
from workers.reduce.reranking import SecondStage
from workers.reduce.stored import LiveDocuments
from workers.runtime import runtime

logger = logging.getLogger(__name__)


@shared_task(name=names.REDUCE)
def reduce(parts: Sequence[bytes], wire: Mapping[str, Any]) -> None:
    """Merge the shards' parts, drop what is not alive, answer the API; idempotent."""
    started = time.time()
    try:
        order = ReduceOrder.from_wire(wire)
        metrics.batch("reduce", order.queries)
        if started < order.deadline:
            reply(order.reply_to, _reduce(parts, order, started))
    except Exception as error:
        logger.exception("reduce: a batch of queries failed")
        metrics.fail()
        answer_failure(wire, "reduce", error)


@shared_task(name=names.GATHER)
def gather(parts: Sequence[bytes], wire: Mapping[str, Any]) -> None:
    """Hand what each shard said to an inspection to the API, which merges it; idempotent."""
    try:
        said = tuple(codec.loads(part) for part in parts)
        is_outdated = any(part.get("is_elsewhere") for part in said)
        answer = Reply(str(wire["batch_id"]), parts=said, is_outdated=is_outdated)
        reply(str(wire["reply_to"]), answer)
    except Exception as error:
        logger.exception("gather: an inspection failed")
        metrics.fail()
        answer_failure(wire, "reduce", error)


def _reduce(packed: Sequence[bytes], order: ReduceOrder, started: float) -> Reply:
    parts = [ShardPart.from_wire(codec.loads(part)) for part in packed]
    params = SearchParams.from_wire(order.params)
    plan = runtime().plan
    rankings = rankings_of(parts, order.queries, params, plan, _scorings())
    live = _live_documents(order.collection).get(
        candidate.doc_id for ranking in rankings for candidate in ranking
    )
    answerer = Answerer(params, live, plan, partial(_chunks_of, order.generation))
    hits: list[bytes] = []
    short: list[int] = []
    for query, ranking in enumerate(rankings):
        text = order.texts[query] if query < len(order.texts) else ""
        if plan.reducers:
            shown = params.offset + params.limit
            ranking = _second_stage().rerank(ranking, text, live, shown)  # noqa: PLW2901 - read again
        rows, alive = answerer.hits(ranking, text)
        hits.append(rows)
        if alive < params.offset + params.limit and _has_more(parts, query, params, plan):
            short.append(query)
    errors = [f"shard {part.shard}: {part.error}" for part in parts if part.error is not None]
    return Reply(
        batch_id=order.batch_id,
        hits=tuple(hits),
        short=tuple(short),
        failures=order.failures,
        shards_total=order.shards_asked + order.absent,
        shards_ok=len(parts) - len(errors),
        errors=tuple(errors),
        is_outdated=any(part.is_elsewhere for part in parts),
        spans=(*order.spans, *_spans(parts, order, started)),
    )


def _has_more(parts: Sequence[ShardPart], query: int, params: SearchParams, plan: Plan) -> bool:
    """Tell whether some shard may hold hits beyond those that it sent."""
    asked = depth_of(params, plan) + params.slack
    return any(part.counts is not None and int(part.counts[query]) >= asked for part in parts)


def _spans(
    parts: Sequence[ShardPart], order: ReduceOrder, started: float
) -> list[tuple[str, float, float]]:
    """Return where the time went since the fan-out: the slowest shard, then reduce itself."""
    answered = [part for part in parts if part.error is None]
    if not answered:
        return []
    slowest = max(answered, key=lambda part: part.queue_s + part.work_s)
    searched = order.sent_at + slowest.queue_s + slowest.work_s
    return [
        ("search", slowest.queue_s, slowest.work_s),
        ("reduce", max(0.0, started - searched), time.time() - started),
    ]


def prepare() -> None:
    """Make the score functions of all indexes, so that a wrong one is told at the start.

    Raises:
        ComponentError: one cannot be made; its text says which and why.
    """
    _scorings()


def _chunks_of(generation: int, doc_ids: Sequence[str]) -> Mapping[str, ChunkTable]:
    state = runtime()
    serving = generation or state.generation()
    return state.log.chunks_of(state.collection, doc_ids, generation=serving)


@cache
def _scorings() -> Scorings:
    return scorings_of(runtime().plan)


@cache
def _second_stage() -> SecondStage:
    state = runtime()
    return SecondStage.of(state.plan, state.rerankers)


@cache
def _live_documents(collection: str) -> LiveDocuments:
    return LiveDocuments(runtime().ledger, collection)
