"""The fetch stage: addresses in, stored media out; before any other stage, on its own queue."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import shared_task

from compose.wire import names
from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.errors import IndexStoreError
from indexstore.media import sniff
from workers.errors import ContentError
from workers.fetch.guarded import FetchRules, download
from workers.giving_back import as_document_stage
from workers.handing_on import hand_on_documents
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)


@shared_task(name=names.FETCH)
def fetch(wire: Mapping[str, Any]) -> None:
    """Bring the media of a batch into the store and hand the batch on; idempotent."""
    as_document_stage(wire, _fetch_documents)


def _fetch_documents(batch: DocumentBatch) -> None:
    state = runtime()
    items = [_fetched(state, batch.collection, item) for item in batch.documents()]
    hand_on_documents(state, replace(batch, items=tuple(item.to_wire() for item in items)))


def _fetched(state: Runtime, collection: str, item: DocumentItem) -> DocumentItem:
    """Return the item with its medium in the store, or with the reason why it is not."""
    medium = item.content.get(item.modality)
    if not isinstance(medium, Mapping) or "url" not in medium or "blob" in medium:
        return item
    try:
        stored = _stored(state, str(medium["url"]), item.modality)
    except (ContentError, IndexStoreError) as error:
        logger.warning("fetch: document %s: %s", item.doc_id, error)
        return replace(item, error=f"fetch: {error}")
    content = {**item.content, item.modality: stored}
    state.ledger.settle_content(collection, item.doc_id, item.content_version, content)
    return replace(item, content=content)


def _stored(state: Runtime, url: str, modality: str) -> dict[str, Any]:
    """Download a medium into the store and return what the document's content says of it."""
    data = download(url, FetchRules(**state.settings["fetch"]))
    found = sniff(data)
    if not found.startswith(f"{modality}/"):
        raise ContentError(f"{url} is {found}, not {modality}")
    blob = state.media.put(data)
    return {
        "url": url,
        "blob": blob.name,
        "media_type": blob.media_type,
        "size_bytes": blob.size_bytes,
    }
