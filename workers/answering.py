"""How a query stage answers for itself: when it fails it tells the API at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

from compose.wire import codec, names
from compose.wire.messages import MediaTask, QueryBatch, Reply
from workers import metrics
from workers.runtime import runtime

logger = logging.getLogger(__name__)

REPLY_EXPIRES_S = 60  # an API process that died leaves its list behind for no longer


def reply(to: str, answer: Reply) -> None:
    """Put ``answer`` on the list that the API process ``to`` reads."""
    key = names.reply_key(to)
    with runtime().redis.pipeline(transaction=False) as pipe:
        pipe.rpush(key, codec.dumps(answer.to_wire()))
        pipe.expire(key, REPLY_EXPIRES_S)
        pipe.execute()


def answer_failure(wire: Mapping[str, Any], stage: str, error: Exception) -> None:
    """Tell the API process behind a query message that ``stage`` could not do its work."""
    to, batch_id = wire.get("reply_to"), wire.get("batch_id")
    if not isinstance(to, str) or not isinstance(batch_id, str):
        return
    status = int(getattr(error, "status", 500))
    reply(to, Reply(batch_id, failed_stage=stage, failure=str(error), status=status))


def run_media_task(
    wire: Mapping[str, Any], stage: str, work: Callable[[MediaTask], tuple[Any, ...]]
) -> None:
    """Do what the API asked for, and answer with what came of it, or why nothing did.

    Args:
        wire: the message.
        stage: who does it, as it stands in problems.
        work: does it and returns the parts of the answer.
    """
    try:
        order = MediaTask.from_wire(wire)
        if order.is_late():
            return
        reply(order.reply_to, Reply(order.batch_id, parts=work(order)))
    except Exception as error:
        logger.exception("%s: a task failed", stage)
        metrics.fail()
        answer_failure(wire, stage, error)


def as_query_stage(
    wire: Mapping[str, Any], stage: str, work: Callable[[QueryBatch, float], None]
) -> None:
    """Run one stage of a query: read the message, skip it when late, answer when it fails.

    Args:
        wire: the message.
        stage: the stage's name, as it stands in traces and problems.
        work: does the stage's work on the batch and the time it was started, and hands it on.
    """
    started = time.time()
    try:
        batch = QueryBatch.from_wire(wire)
        if batch.is_late():
            logger.info("%s: batch %s came after its deadline, dropped", stage, batch.batch_id)
            return
        metrics.batch(stage, batch.queries)
        work(batch, started)
    except Exception as error:
        logger.exception("%s: a batch of queries failed", stage)
        metrics.fail()
        answer_failure(wire, stage, error)
