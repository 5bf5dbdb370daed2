"""From encoded queries to the shards: the chord that both wings publish."""

from __future__ import annotations

from typing import Any

from compose.plan import Plan
from compose.wire import names
from compose.wire.chords import Call, Chord, fan_out
from compose.wire.messages import QueryBatch, ReduceOrder


def scatter(app: Any, plan: Plan, batch: QueryBatch) -> None:
    """Publish one search task a shard that the batch shall ask, and ``reduce`` as their callback.

    The encode stage opens the chord for texts, the API for vectors.
    """
    wire = batch.to_wire()
    order = order_of(batch)
    headers = [
        Call(names.SEARCH, plan.indexes[index].queue(shard), {**wire, "target": (index, shard, of)})
        for index, shard, of in batch.targets
    ]
    body = Call(names.REDUCE, names.REDUCE_QUEUE, order.to_wire())
    fan_out(app, Chord(batch.batch_id, len(headers), body, awaited=True), headers)


def order_of(batch: QueryBatch) -> ReduceOrder:
    """Return what ``reduce`` has to know of a batch."""
    return ReduceOrder(
        batch_id=batch.batch_id,
        reply_to=batch.reply_to,
        collection=batch.collection,
        queries=batch.queries,
        params=batch.params,
        shards_asked=len(batch.targets),
        absent=batch.absent,
        deadline=batch.deadline,
        sent_at=batch.sent_at,
        spans=batch.spans,
        texts=batch.texts,
        failures=batch.failures,
        generation=batch.generation,
    )
