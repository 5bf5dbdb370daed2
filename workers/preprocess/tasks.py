"""The preprocess stage: texts and media in, chunks out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from celery import shared_task

from compose.plan import StagePlan
from compose.wire import names
from compose.wire.messages import DocumentBatch, DocumentItem, QueryBatch
from workers.answering import as_query_stage
from workers.component import Chunk, Source
from workers.embedding_cache import recall
from workers.giving_back import as_document_stage
from workers.handing_on import hand_on_documents, hand_on_query
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)


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
    items = [_cut(state, stage, item) for item in recall(state, batch.documents())]
    done = replace(batch, stage=batch.stage + 1, items=tuple(item.to_wire() for item in items))
    hand_on_documents(state, done)


def _preprocess_queries(batch: QueryBatch, started: float) -> None:
    state = runtime()
    stage = state.plan.stages[batch.stage]
    texts: list[str] = []
    owners: list[int] = []
    weights: list[float] = []
    failures = list(batch.failures)
    for query, text in enumerate(batch.texts):
        try:
            source = Source("text", text=text)
            chunks = state.component(stage, batch.modality).apply(source)
        except Exception as error:  # noqa: BLE001  # one query's content costs that query alone
            failures.append((query, str(error)))
            continue
        texts.extend(chunk.text or "" for chunk in chunks)
        weights.extend(chunk.weight for chunk in chunks)
        owners.extend([query] * len(chunks))
    hand_on_query(
        state,
        batch.handed_on(
            "preprocess",
            started,
            stage=batch.stage + 1,
            chunk_texts=tuple(texts),
            owners=np.array(owners, np.int32),
            weights=np.array(weights, np.float32),
            failures=tuple(failures),
        ),
    )


def _cut(state: Runtime, stage: StagePlan, item: DocumentItem) -> DocumentItem:
    """Return the item with its chunks, or with the reason why it has none."""
    if item.error is not None or item.embeddings:
        return item
    started = time.perf_counter()
    try:
        source = Source(item.modality, text=item.content.get("text"))  # type: ignore[arg-type]  # the ledger checked it
        chunks: Sequence[Chunk] = state.component(stage, item.modality).apply(source)
    except Exception as error:
        logger.exception("preprocess: document %s failed", item.doc_id)
        return replace(item, error=f"preprocess: {error}")
    logger.debug("%s: %d chunks in %.1f ms", item.doc_id, len(chunks), 1e3 * _since(started))
    return replace(
        item,
        positions=np.array([chunk.position for chunk in chunks], np.int32),
        weights=np.array([chunk.weight for chunk in chunks], np.float32),
        spans=np.array([chunk.span for chunk in chunks], np.int32).reshape(-1, 2),
        chunk_texts=tuple(chunk.text or "" for chunk in chunks),
    )


def _since(started: float) -> float:
    return time.perf_counter() - started
