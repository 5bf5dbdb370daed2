"""The search stage: encoded queries in, one shard's best documents out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np
from celery import shared_task

from compose.plan import Plan
from compose.wire import codec, names
from compose.wire.fusing import depth_of, fuses
from compose.wire.messages import (
    NOBODY,
    Inspection,
    QueryBatch,
    SearchParams,
    ShardPart,
    Target,
    target_of,
)
from indexstore.model import IndexConfig
from indexstore.query import ShardHits, ShardQuery
from indexstore.shard import Shard
from workers import metrics
from workers.runtime import runtime
from workers.search.serving import GenerationError, serving

logger = logging.getLogger(__name__)

_EVERY_CHUNK = 1 << 20  # an explanation adds up all chunks of a document


@shared_task(name=names.SEARCH)
def search(wire: Mapping[str, Any]) -> bytes:
    """Search one shard for a batch of queries; never raises, for its chord needs every part.

    The part is packed here, once, and unpacked by ``reduce``: whoever hands it on between them
    need not take it apart.
    """
    started = time.time()
    target = NOBODY
    try:
        batch = QueryBatch.from_wire(wire)
        target = target_of(batch.target)
        if batch.is_late():
            return _packed(ShardPart(*target[:2], error="the deadline had passed"))
        metrics.batch("search", batch.queries)
        state = runtime()
        shard = serving().shard(target, batch.generation)
        return answer_of(batch, shard, state.plan, started)
    except GenerationError as error:
        logger.warning("search: %s", error)
        return _packed(ShardPart(*target[:2], error=str(error), is_elsewhere=True))
    except Exception as error:
        logger.exception("search: shard %s could not answer", target)
        metrics.fail()
        return _packed(ShardPart(*target[:2], error=f"{type(error).__name__}: {error}"))


@shared_task(name=names.INSPECT)
def inspect(wire: Mapping[str, Any]) -> bytes:
    """Answer one question about a shard's documents; never raises, like ``search``."""
    return codec.dumps(_inspected(wire))


def _inspected(wire: Mapping[str, Any]) -> dict[str, Any]:
    try:
        order = Inspection.from_wire(wire)
        target = target_of(order.target)
        shard = serving().shard(target)
        if shard.catch_up(order.min_seq, order.deadline) < order.min_seq:
            return {"error": f"shard {target[1]} has not read the log in time", "status": 504}
        return {"answer": getattr(shard, order.what)(**order.arguments)}
    except GenerationError as error:
        logger.warning("inspect: %s", error)
        return {"error": str(error), "status": 503, "is_elsewhere": True}
    except Exception as error:
        logger.exception("inspect: a shard could not answer")
        metrics.fail()
        return {"error": str(error), "status": int(getattr(error, "status", 500))}


def answer_of(batch: QueryBatch, shard: Shard, plan: Plan, started: float) -> bytes:
    """Return what a shard finds for a batch, packed."""
    target = target_of(batch.target)
    hits = shard.search(shard_query(batch, shard.place.config, plan))
    if hits.applied_seq < batch.min_seq:
        return _packed(ShardPart(*target[:2], error="it has not read the log in time"))
    return _packed(_part(target, hits, shard, (batch, started)))


def shard_query(batch: QueryBatch, config: IndexConfig, plan: Plan) -> ShardQuery:
    """Return what the shard needs of a batch."""
    params = SearchParams.from_wire(batch.params)
    none = np.zeros(0, np.int32)
    return ShardQuery(
        embeddings=batch.embeddings.get(config.vector, np.zeros((0, config.dim or 1), np.float32)),
        owners=none if batch.owners is None else batch.owners,
        weights=np.ones(0, np.float32) if batch.weights is None else batch.weights,
        places=batch.places,
        texts=batch.texts if config.kind == "text" else (),
        queries=batch.queries,
        limit=depth_of(params, plan),
        spare=params.slack,
        min_seq=batch.min_seq,
        deadline=batch.deadline,
        filter=params.filter,
        score_threshold=params.score_threshold if _is_final(params, plan) else None,
        exact=params.exact,
        ef=params.ef,
        group_size=_EVERY_CHUNK if params.explain else params.group_size,
        highlight=params.highlight,
        exclude=tuple(params.exclude),
        pairs=plan.rescores,
    )


def _is_final(params: SearchParams, plan: Plan) -> bool:
    """Tell whether the shards' scores are those of the answer."""
    return not (fuses(params, plan) or plan.candidates)


def _packed(part: ShardPart) -> bytes:
    return codec.dumps(part.to_wire())


def _part(
    target: Target, hits: ShardHits, shard: Shard, order: tuple[QueryBatch, float]
) -> ShardPart:
    batch, started = order
    return ShardPart(
        *target[:2],
        counts=hits.counts,
        doc_ids=tuple(hits.doc_ids),
        versions=hits.versions,
        scores=hits.scores,
        chunk_counts=hits.chunk_counts,
        chunk_positions=hits.chunk_positions,
        chunk_scores=hits.chunk_scores,
        chunk_spans=hits.chunk_spans,
        highlights=tuple(hits.highlights or ()),
        extra=_extra(shard, hits),
        queue_s=max(0.0, started - batch.sent_at),
        work_s=time.time() - started,
    )


def _extra(shard: Shard, hits: ShardHits) -> dict[str, Any]:
    """Return what score functions read: all pairs of chunks, and how large the shard is."""
    if hits.pairs is None:
        return {}
    stats = shard.stats()
    columns = {field.name: getattr(hits.pairs, field.name) for field in fields(hits.pairs)}
    return {"pairs": columns, "documents": stats.documents, "chunks": stats.chunks}
