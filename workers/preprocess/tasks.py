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
from indexstore.spans import WIDE
from workers import carrying
from workers.answering import as_query_stage
from workers.component import Chunk, Source
from workers.embedding_cache import recall
from workers.giving_back import as_document_stage
from workers.handing_on import hand_on_documents, hand_on_query
from workers.preprocess.found_tags import found_tags
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)

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
    items = [
        _cut(state, stage, item) for item in recall(state, batch.documents(), batch.generation)
    ]
    done = replace(batch, stage=batch.stage + 1, items=tuple(item.to_wire() for item in items))
    hand_on_documents(state, done)


def _preprocess_queries(batch: QueryBatch, started: float) -> None:
    state = runtime()
    stage = state.plan.stages[batch.stage]
    cut: list[Chunk] = []
    owners: list[int] = []
    failures = list(batch.failures)
    for query in range(batch.queries):
        try:
            chunks = state.component(stage, batch.modality).apply(_source_of(batch, query))
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


def _source_of(batch: QueryBatch, query: int) -> Source:
    if batch.modality == "text":
        return Source("text", text=batch.texts[query])
    return Source(batch.modality, data=batch.media[query])  # type: ignore[arg-type]  # the API checked it


def _source(state: Runtime, item: DocumentItem) -> Source:
    if item.modality == "text":
        return Source("text", text=item.content.get("text"))
    blob = str(item.content[item.modality]["blob"])
    return Source(item.modality, data=state.media.get(blob))  # type: ignore[arg-type]  # the ledger checked it


def _cut(state: Runtime, stage: StagePlan, item: DocumentItem) -> DocumentItem:
    """Return the item with its chunks, or with the reason why it has none."""
    if item.error is not None or item.embeddings or stage.component(item.modality) is None:
        return item
    started = time.perf_counter()
    try:
        component = state.component(stage, item.modality)
        chunks: Sequence[Chunk] = component.apply(_source(state, item))
        item = carrying.load(state, item, chunks)
    except Exception as error:
        logger.exception("preprocess: document %s failed", item.doc_id)
        return replace(item, error=f"preprocess: {error}")
    logger.debug("%s: %d chunks in %.1f ms", item.doc_id, len(chunks), 1e3 * _since(started))
    return replace(
        item,
        positions=np.array([chunk.position for chunk in chunks], np.int32),
        weights=np.array([chunk.weight for chunk in chunks], np.float32),
        spans=_spans(chunks, _SPAN_TYPE[item.modality]),
        chunk_texts=tuple(chunk.text or "" for chunk in chunks),
        tags=found_tags(chunks),
    )


def _spans(chunks: Sequence[Chunk], dtype: Any) -> NDArray[Any]:
    """Return where the chunks stand, two numbers each, or four where one is a box."""
    width = max((len(chunk.span) for chunk in chunks), default=2)
    spans = np.full((len(chunks), width), -1, dtype)
    for row, chunk in zip(spans, chunks, strict=True):
        row[: len(chunk.span)] = chunk.span
    return spans


def _boxes(chunks: Sequence[Chunk]) -> NDArray[np.float32] | None:
    """Return the boxes of the chunks of pictures, (n, 4); None of what stands in no plane."""
    spans = _spans(chunks, np.float32)
    return spans if spans.shape[1] == WIDE else None


def _since(started: float) -> float:
    return time.perf_counter() - started
