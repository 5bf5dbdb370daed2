"""The fetch stage: addresses in, stored media out; before any other stage, on its own queue."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

from celery import shared_task

from compose.wire import names
from compose.wire.messages import DocumentBatch, DocumentItem, MediaTask
from indexstore.errors import IndexStoreError
from indexstore.filesystems import STORE_FAULTS
from workers.answering import run_media_task
from workers.errors import ContentError
from workers.fetch.guarded import FetchRules, fetch_into
from workers.giving_back import as_document_stage
from workers.handing_on import hand_on_documents
from workers.runtime import Runtime, runtime

_AT_ONCE = 8  # downloads of one batch; most of their time is waiting

logger = logging.getLogger(__name__)


@shared_task(name=names.FETCH)
def fetch(wire: Mapping[str, Any]) -> None:
    """Bring the media of a batch into the store and hand the batch on; idempotent."""
    as_document_stage(wire, _fetch_documents)


@shared_task(name=names.FETCH_MEDIUM)
def fetch_medium(wire: Mapping[str, Any]) -> None:
    """Bring the medium of a query into the store, and answer with its blob."""
    run_media_task(wire, "fetch", _fetch_medium)


def _fetch_medium(order: MediaTask) -> tuple[Any, ...]:
    state = runtime()
    rules = FetchRules(**state.settings["fetch"])
    left = order.deadline - time.time()
    rules = replace(rules, timeout_s=min(rules.timeout_s, max(0.1, left)))
    url, modality = str(order.arguments["url"]), str(order.arguments["modality"])
    return (fetch_into(state.media, url, modality, rules).name,)


def _fetch_documents(batch: DocumentBatch) -> None:
    state = runtime()
    documents = batch.documents()
    fetched = partial(_fetched, state, batch.collection)
    with ThreadPoolExecutor(min(_AT_ONCE, len(documents)), "fetch") as pool:
        items = list(pool.map(fetched, documents))
    hand_on_documents(state, replace(batch, items=tuple(item.to_wire() for item in items)))


def _fetched(state: Runtime, collection: str, item: DocumentItem) -> DocumentItem:
    """Return the item with its medium in the store, or with the reason why it is not."""
    medium = item.content.get(item.modality)
    if not isinstance(medium, Mapping) or "url" not in medium or "blob" in medium:
        return item
    rules = FetchRules(**state.settings["fetch"])
    try:
        blob = fetch_into(state.media, str(medium["url"]), item.modality, rules)
    except STORE_FAULTS:
        raise  # it is sent again
    except (ContentError, IndexStoreError) as error:
        logger.warning("fetch: document %s: %s", item.doc_id, error)
        return replace(item, error=f"fetch: {error}")
    stored = {
        "url": str(medium["url"]),
        "blob": blob.name,
        "media_type": blob.media_type,
        "size_bytes": blob.size_bytes,
    }
    content = {**item.content, item.modality: stored}
    state.ledger.settle_content(collection, item.doc_id, item.content_version, content)
    return replace(item, content=content)
