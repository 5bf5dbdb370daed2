"""The preprocess stage: texts and media in, chunks out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from celery import shared_task
from numpy.typing import NDArray

from compose.plan import MEDIA, StagePlan
from compose.wire import names
from compose.wire.messages import DocumentBatch, DocumentItem, QueryBatch
from indexstore.derived import ScratchGoneError
from indexstore.filesystems import STORE_FAULTS
from indexstore.spans import WIDE
from workers import carrying
from workers.answering import as_query_stage
from workers.carrying import size_of
from workers.component import Chunk, Cursor, Placed, Preprocessor, Source, Streaming
from workers.embedding_cache import recall
from workers.errors import ContentError
from workers.giving_back import as_document_stage
from workers.handing_on import hand_on_documents, hand_on_query
from workers.preprocess.found_tags import found_tags
from workers.preprocess.streaming import advance
from workers.runtime import Runtime, runtime
from workers.sources import heaviest, medium_of

logger = logging.getLogger(__name__)

#: Rows of one query; each costs a search of its own in every shard.
MAX_QUERY_CHUNKS = 256
_MOST_QUERY_BYTES = 128 * 1024 * 1024

# Characters are counted, seconds and pixels are measured.
_SPAN_TYPE: Mapping[str, Any] = {"text": np.int32} | dict.fromkeys(MEDIA, np.float32)


@shared_task(name=names.PREPROCESS_QUERY)
def preprocess_query(wire: Mapping[str, Any]) -> None:
    """Cut the queries of a batch into chunks and hand the batch on; idempotent."""
    as_query_stage(wire, "preprocess", _preprocess_queries)


@shared_task(name=names.PREPROCESS_DOCUMENTS)
def preprocess_documents(wire: Mapping[str, Any]) -> None:
    """Cut the documents of a batch into chunks and hand the batch on; idempotent."""
    as_document_stage(wire, _preprocess_documents)


def _preprocess_documents(batch: DocumentBatch) -> None:
    state = runtime()
    stage = state.plan.stages[batch.stage]
    items = batch.documents()
    if all(item.cursor is None for item in items):
        known = recall(state, items, batch.generation)
        items = [carrying.lightened(state, item) for item in known]
    cut = [_cut(state, stage, item) for item in items]
    hand_on_documents(state, replace(batch, items=tuple(item.to_wire() for item in cut)))


def _preprocess_queries(batch: QueryBatch, started: float) -> None:
    state = runtime()
    stage = state.plan.stages[batch.stage]
    cut: list[Chunk] = []
    owners: list[int] = []
    failures = list(batch.failures)
    for query in range(batch.queries):
        try:
            component = state.component(stage, batch.modality)
            chunks = _chunks_of_query(component, _source_of(state, batch, query), batch)
        except Exception as error:  # noqa: BLE001  # one query's content costs that query alone
            failures.append((query, str(error)))
            continue
        cut.extend(chunks)
        owners.extend([query] * len(chunks))
    hand_on_query(
        state,
        batch.handed_on(
            "preprocess",
            started,
            stage=batch.stage + 1,
            media=(),
            chunk_texts=tuple(chunk.text or "" for chunk in cut),
            chunk_arrays=tuple(chunk.array for chunk in cut if chunk.array is not None),
            owners=np.array(owners, np.int32),
            weights=np.array([chunk.weight for chunk in cut], np.float32),
            places=_boxes(cut),
            failures=tuple(failures),
        ),
    )


def _source_of(state: Runtime, batch: QueryBatch, query: int) -> Source:
    if batch.modality == "text":
        return Source("text", text=batch.texts[query])
    return medium_of(state, batch.modality, batch.media[query])


def _source(state: Runtime, item: DocumentItem) -> Source:
    if item.modality == "text":
        return Source("text", text=item.content.get("text"))
    return medium_of(state, item.modality, str(item.content[item.modality]["blob"]))


def _chunks_of_query(component: Preprocessor, source: Source, batch: QueryBatch) -> Sequence[Chunk]:
    """Return the chunks of a query, the heaviest where they are too many.

    Raises:
        ContentError: it is too long to be cut while somebody waits.
    """
    if not isinstance(component, Streaming):
        return component.apply(source)
    cursor: Cursor = {}
    chunks: list[Chunk] = []
    for chunk in component.stream(source, cursor):
        if chunk is not None:
            chunks.append(chunk)
        elif batch.is_late() or size_of(chunks) > _MOST_QUERY_BYTES:
            raise ContentError(
                f"this {batch.modality} is too long to be looked for as a whole",
                "send a part of it, or allow more time",
            )
    return heaviest(component.settled(chunks, cursor), MAX_QUERY_CHUNKS)


def _cut(state: Runtime, stage: StagePlan, item: DocumentItem) -> DocumentItem:
    """Return the item with its chunks, or with the reason why it has none."""
    if item.error is not None or item.embeddings or item.aside or item.is_cut:
        return item
    if stage.component(item.modality) is None:
        return item
    started = time.perf_counter()
    try:
        component = state.component(stage, item.modality)
        source, dtype = _source(state, item), _SPAN_TYPE[item.modality]
        if isinstance(component, Streaming) and source.is_file:
            return advance(state, component, item, source, dtype)
        chunks: Sequence[Chunk] = component.apply(source)
        item = carrying.load(state, item, chunks)
    except (ScratchGoneError, *STORE_FAULTS):
        raise  # no document's fault
    except Exception as error:
        logger.exception("preprocess: document %s failed", item.doc_id)
        carrying.drop(state, item)
        return replace(item, error=f"preprocess: {error}", pieces=(), cursor=None)
    logger.debug("%s: %d chunks in %.1f ms", item.doc_id, len(chunks), 1e3 * _since(started))
    return replace(
        item,
        positions=np.array([chunk.position for chunk in chunks], np.int32),
        weights=np.array([chunk.weight for chunk in chunks], np.float32),
        spans=Placed.of(chunks).spans.astype(dtype),
        chunk_texts=tuple(chunk.text or "" for chunk in chunks),
        tags=found_tags(chunks),
    )


def _boxes(chunks: Sequence[Chunk]) -> NDArray[np.float32] | None:
    """Return the boxes of the chunks of pictures, (n, 4); None of what stands in no plane."""
    spans = Placed.of(chunks).spans
    return spans.astype(np.float32) if spans.shape[1] == WIDE else None


def _since(started: float) -> float:
    return time.perf_counter() - started
