"""What a stage could not finish goes back to the ledger, which decides what becomes of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery import current_task
from redis.exceptions import RedisError

from compose.wire import codec, names
from compose.wire.messages import DocumentBatch
from indexstore.filesystems import STORE_FAULTS
from workers import carrying, metrics
from workers.keeping import hand
from workers.runtime import runtime

logger = logging.getLogger(__name__)


def give_back(batch: DocumentBatch, *, counts: bool) -> None:
    """Tell the dispatcher that nobody works on these documents any more.

    Args:
        batch: the documents.
        counts: as an attempt that they may be to blame for; after some the ledger gives them up.
    """
    wire = codec.dumps({"doc_ids": [item["doc_id"] for item in batch.items], "counts": counts})
    try:
        with runtime().redis.pipeline(transaction=False) as pipe:
            pipe.rpush(names.returned_key(batch.collection), wire)
            pipe.rpush(names.poke_key(batch.collection), b"")
            pipe.execute()
    except (RedisError, OSError) as error:
        logger.warning("%d documents wait for the end of their lease: %s", len(batch.items), error)


def as_document_stage(wire: Mapping[str, Any], work: Callable[[DocumentBatch], None]) -> None:
    """Run one stage of a batch of documents.

    A message that comes a second time has perhaps ended the worker that had it first. So it is
    not tried again and again: its documents go back and are sent one by one, and counted.
    """
    state, batch = runtime(), DocumentBatch.from_wire(wire)
    if (current_task.request.delivery_info or {}).get("redelivered"):
        logger.warning("%s came again; its documents are sent one by one", batch.batch_id)
        give_back(batch, counts=True)
        carrying.drop_packed(state, batch)
        return
    try:
        with hand.holding(batch.collection, [item["doc_id"] for item in batch.items]):
            work(carrying.unpacked(state, batch))
    except STORE_FAULTS as error:
        logger.warning("%s: %s; its documents are sent again", batch.batch_id, error)
        metrics.fail()
        give_back(batch, counts=False)
    except Exception:
        logger.exception("%s failed; its documents are sent one by one", batch.batch_id)
        metrics.fail()
        give_back(batch, counts=True)
    finally:
        carrying.drop_packed(state, batch)
