"""The index stage: encoded documents in, rows of the log out; and the end of a window."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from celery import shared_task
from redis.exceptions import RedisError

from compose.wire import codec, names
from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.errors import IndexStoreError
from indexstore.model import EncodedDocument
from workers import carrying, metrics
from workers.embedding_cache import table_of
from workers.giving_back import give_back
from workers.index.announcing import announce_closed_jobs
from workers.index.fitting import misfit
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)

_REFUSALS_EXPIRE_S = 3_600  # a dispatcher reads them within a second


@shared_task(name=names.INDEX)
def index(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Append a batch to the log, each document only where it is still the newest; idempotent.

    Never raises: as a header task it would break its chord. What it could not write stays queued
    in the ledger and is sent again when its lease ends.
    """
    state = runtime()
    try:
        batch = DocumentBatch.from_wire(wire)
    except codec.WireFormatError as error:
        logger.exception("index: a batch could not be read; the ledger will send it again")
        metrics.fail()
        return {"error": str(error)}
    try:
        items = [carrying.whole(state, item) for item in batch.documents()]
        encoded = [_encoded(item, state) for item in items]
        done = state.log.append(batch.collection, encoded, generation=batch.generation)
    except IndexStoreError as error:
        logger.exception("index: a batch could not be written; the ledger will send it again")
        metrics.fail()
        give_back(batch, counts=False)
        return {"error": str(error)}
    for item in items:
        carrying.drop(state, item)
    if done.outdated:
        give_back(batch, counts=False)
    if done.failed and batch.generation > done.serving:
        _refuse(state, batch, encoded)
    state.announce_log()
    if done.indexed:
        _count(batch)
    return {"indexed": done.indexed, "superseded": done.superseded, "failed": done.failed}


def _count(batch: DocumentBatch) -> None:
    """Note how long the documents of a batch were under way."""
    metrics.batch("index", len(batch.items))
    now = time.time()
    for item in batch.items:
        if item["error"] is None and item["accepted_at"]:
            metrics.searchable(batch.collection, now - item["accepted_at"])


def _refuse(state: Runtime, batch: DocumentBatch, encoded: Sequence[EncodedDocument]) -> None:
    """Tell who makes a new generation which documents it will have to do without."""
    key = names.refused_key(batch.collection, batch.generation)
    refused = [(one.doc_id, one.error or "") for one in encoded if one.chunks is None]
    try:
        with state.redis.pipeline(transaction=False) as pipe:
            pipe.rpush(key, *(codec.dumps(pair) for pair in refused))
            pipe.expire(key, _REFUSALS_EXPIRE_S)
            pipe.execute()
    except (RedisError, OSError) as error:
        logger.warning("index: %d refusals are found out by trying again: %s", len(refused), error)


@shared_task(name=names.FINISH)
def finish(parts: Sequence[Mapping[str, Any]], collection: str) -> None:
    """Close the jobs that the ledger finds done, tell who waits, and ask for the next window."""
    state = runtime()
    lost = [part["error"] for part in parts if "error" in part]
    if lost:
        logger.warning("finish: %d batches of %s failed: %s", len(lost), collection, lost[0])
    announce_closed_jobs(state)
    state.redis.rpush(names.poke_key(collection), b"")


def _encoded(item: DocumentItem, state: Runtime) -> EncodedDocument:
    table = table_of(item)
    error = item.error
    if table is None and error is None:
        error = "index: the flow made no chunk of this document"
    if table is not None:
        error = misfit(table, state.plan.indexes)
        table = None if error else table if state.keeps_texts else replace(table, texts=None)
    return EncodedDocument(item.doc_id, item.content_version, table, error)
