"""What the stages made of a content, kept so that a retry or a repeated text starts at the log."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace

from compose.wire.messages import DocumentItem
from indexstore.model import ChunkTable
from workers import metrics
from workers.runtime import Runtime


def content_key(item: DocumentItem) -> str:
    """Return the hash of what the stages read of a document: its modality and content."""
    content = json.dumps([item.modality, item.content], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()


def recall(state: Runtime, items: Sequence[DocumentItem], generation: int) -> list[DocumentItem]:
    """Return the items, those encoded before by the same components with what they made."""
    lineage = state.lineage(generation) if state.settings["cache_bytes"] and items else None
    if lineage is None:
        return list(items)
    keys = [content_key(item) for item in items]
    known = state.cache.get(lineage, keys)
    metrics.known(state.collection, sum(key in known for key in keys))
    return [
        _with_table(item, known[key]) if key in known else item
        for item, key in zip(items, keys, strict=True)
    ]


def remember(state: Runtime, items: Sequence[DocumentItem], generation: int) -> None:
    """Keep what was made of the items that succeeded."""
    lineage = state.lineage(generation) if state.settings["cache_bytes"] and items else None
    if lineage is None:
        return
    tables = {content_key(item): table for item in items if (table := table_of(item)) is not None}
    state.cache.put(lineage, tables)


def table_of(item: DocumentItem) -> ChunkTable | None:
    """Return the item's chunks as the log keeps them; None when it has none.

    Where no encoder is in the flow, they have no embeddings.
    """
    if item.error is not None or item.positions is None:
        return None
    if item.weights is None or item.spans is None:
        return None
    return ChunkTable(
        item.positions,
        item.weights,
        item.spans,
        item.chunk_texts or None,
        dict(item.embeddings),
        item.tags,
    )


def _with_table(item: DocumentItem, table: ChunkTable) -> DocumentItem:
    return replace(
        item,
        positions=table.positions,
        weights=table.weights,
        spans=table.spans,
        chunk_texts=table.texts or (),
        tags=table.tags,
        embeddings=table.embeddings,
    )
