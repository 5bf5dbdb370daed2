"""The encode stage: chunks in, embeddings out."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
from celery import shared_task
from numpy.typing import NDArray

from compose.plan import StagePlan
from compose.wire import names
from compose.wire.messages import DocumentBatch, DocumentItem, QueryBatch
from indexstore.errors import (
    IndexStoreError,
    InvalidVectorError,
    StorageBusyError,
    StorageUnavailableError,
)
from indexstore.filesystems import STORE_FAULTS
from indexstore.vectors import require_finite
from workers import carrying
from workers.answering import as_query_stage
from workers.component import Chunk, Encoder
from workers.embedding_cache import remember
from workers.errors import ContentError, NotTrainedError
from workers.giving_back import as_document_stage
from workers.handing_on import hand_on_documents, hand_on_query
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)

TURN_S = 0.4  # that a query waits at most behind one document's pieces


@shared_task(name=names.ENCODE_QUERY)
def encode_query(wire: Mapping[str, Any]) -> None:
    """Embed a batch of queries and open the chord over the shards; idempotent."""
    as_query_stage(wire, "encode", _encode_queries)


@shared_task(name=names.ENCODE_DOCUMENTS)
def encode_documents(wire: Mapping[str, Any]) -> None:
    """Embed the documents of a batch and hand it on; idempotent."""
    as_document_stage(wire, _encode_documents)


def _encode_documents(batch: DocumentBatch) -> None:
    state = runtime()
    stage = state.plan.stages[batch.stage]
    items = encoded(state, stage, batch.documents(), batch.generation)
    hand_on_documents(state, replace(batch, items=tuple(item.to_wire() for item in items)))


def encoded(
    state: Runtime, stage: StagePlan, items: list[DocumentItem], generation: int
) -> list[DocumentItem]:
    """Return items as they leave a stage: with its embeddings, or with the reason why without."""
    items = _encode_items(state, stage, items, generation)
    ready = [_is_ready(state, stage, item) for item in items]
    done = [carrying.emptied(state, item) for item in compress(items, ready)]
    remember(state, done, generation)
    # Only these: of the others a later stage may read the embeddings.
    light = iter([carrying.lightened(state, item) for item in done])
    return [next(light) if is_ready else item for item, is_ready in zip(items, ready, strict=True)]


def _is_ready(state: Runtime, stage: StagePlan, item: DocumentItem) -> bool:
    """Tell whether nothing is left to encode of a document."""
    later = state.plan.stages[stage.index + 1 :]
    if item.error is not None or any(one.component(item.modality) for one in later):
        return False
    return item.aside is None and item.has_rows(stage.vector, stage.index)


def _encode_queries(batch: QueryBatch, started: float) -> None:
    state = runtime()
    stage = state.plan.stages[batch.stage]
    encoder: Encoder = state.component(stage, batch.modality, batch.generation)
    if batch.owners is None or batch.weights is None:
        raise ValueError("a batch of queries reached encode without chunks")
    try:
        rows = _embedded(encoder, _chunks(stage, batch, batch.chunk_arrays))
    except NotTrainedError:
        raise  # no query's fault, and of no use to any of them
    except Exception as error:
        if batch.queries == 1:
            raise
        logger.warning("encode: a batch of queries failed (%s): one by one", error)
        batch, rows = _encode_one_by_one(encoder, stage, batch)
    is_last = batch.stage + 1 == len(state.plan.stages)
    hand_on_query(
        state,
        batch.handed_on(
            "encode",
            started,
            stage=batch.stage + 1,
            embeddings={**batch.embeddings, stage.vector: rows},
            chunk_texts=() if is_last else batch.chunk_texts,
            chunk_arrays=() if is_last else batch.chunk_arrays,
        ),
    )


def _encode_one_by_one(
    encoder: Encoder, stage: StagePlan, batch: QueryBatch
) -> tuple[QueryBatch, NDArray[np.float32]]:
    """Return the batch without the queries that cannot be encoded, and the rows of the others.

    One query's content must not cost those that happened to travel with it.
    """
    owners = np.asarray(batch.owners)
    chunks = _chunks(stage, batch, batch.chunk_arrays)
    rows: list[NDArray[np.float32]] = [np.zeros((0, encoder.dim), np.float32)]
    failures: list[tuple[int, str]] = []
    for query in np.unique(owners).tolist():
        mine = [
            chunk for chunk, owner in zip(chunks, owners.tolist(), strict=True) if owner == query
        ]
        try:
            rows.append(_embedded(encoder, mine))
        except Exception as error:  # noqa: BLE001  # told to this query alone
            failures.append((query, str(error)))
    kept = ~np.isin(owners, [query for query, _ in failures])
    remaining = replace(
        batch,
        owners=owners[kept],
        weights=np.asarray(batch.weights)[kept],
        places=None if batch.places is None else batch.places[kept],
        chunk_texts=tuple(compress(batch.chunk_texts, kept.tolist())),
        chunk_arrays=tuple(compress(batch.chunk_arrays, kept.tolist())),
        embeddings={name: matrix[kept] for name, matrix in batch.embeddings.items()},
        failures=(*batch.failures, *failures),
    )
    return remaining, np.concatenate(rows)


def _embedded(encoder: Encoder, chunks: Sequence[Chunk]) -> NDArray[Any]:
    """Return the chunks' rows.

    Raises:   ContentError: the encoder made a NaN or an infinity of one.
    """
    rows = np.asarray(encoder.encode(chunks))
    try:
        require_finite(rows)
    except InvalidVectorError as error:
        cure = "the encoder cannot cope with it: leave it out, or choose another encoder"
        raise ContentError(f"{type(encoder).__name__}: {error.reason}", cure) from error
    return rows


def _chunks(
    stage: StagePlan, source: QueryBatch | DocumentItem, arrays: carrying.Arrays
) -> list[Chunk]:
    """Return what ``stage`` encodes: the chunks themselves, or vectors an earlier stage made."""
    if stage.reads is not None:
        rows = source.embeddings[stage.reads]
        return [Chunk(position, array=row) for position, row in enumerate(rows)]
    if arrays:
        return _chunks_of(arrays)
    return [Chunk(position, text=text) for position, text in enumerate(source.chunk_texts)]


def _chunks_of(arrays: Sequence[NDArray[Any]]) -> list[Chunk]:
    return [Chunk(position, array=array) for position, array in enumerate(arrays)]


def _encode_items(
    state: Runtime, stage: StagePlan, items: list[DocumentItem], generation: int
) -> list[DocumentItem]:
    """Return the items with their embeddings; a batch that fails is tried again one by one.

    Of those that have pieces, as many are encoded as fit into a turn.
    """
    todo = [
        item
        for item in items
        if item.error is None
        and not item.has_rows(stage.vector, stage.index)
        and stage.component(item.modality) is not None
    ]
    done = {
        item.doc_id: _encode_pieces(state, stage, item, generation) for item in todo if item.pieces
    }
    small = [item for item in todo if not item.pieces]
    for modality in dict.fromkeys(item.modality for item in small):
        group = [item for item in small if item.modality == modality]
        try:
            done.update(_encode_group(state, stage, group, generation))
        except (*STORE_FAULTS, StorageBusyError, StorageUnavailableError):
            raise  # no document's fault: they are sent again
        except Exception as error:
            if len(group) == 1:
                logger.exception("encode: document %s failed", group[0].doc_id)
                done[group[0].doc_id] = replace(group[0], error=f"encode: {error}")
            else:
                logger.warning("encode: a batch of %d failed (%s): one by one", len(group), error)
                for item in group:
                    (done[item.doc_id],) = _encode_items(state, stage, [item], generation)
    return [done.get(item.doc_id, item) for item in items]


def _encode_group(
    state: Runtime, stage: StagePlan, group: Sequence[DocumentItem], generation: int
) -> dict[str, DocumentItem]:
    encoder: Encoder = state.component(stage, group[0].modality, generation)
    chunks = [chunk for item in group for chunk in _chunks(stage, item, item.chunk_arrays)]
    rows = _embedded(encoder, chunks)
    ends = np.cumsum([0 if item.positions is None else len(item.positions) for item in group])
    parts = np.split(rows, ends[:-1])
    return {
        item.doc_id: replace(
            item,
            embeddings={**item.embeddings, stage.vector: part},
            made={**item.made, stage.vector: stage.index},
        )
        for item, part in zip(group, parts, strict=True)
    }


def _encode_pieces(
    state: Runtime, stage: StagePlan, item: DocumentItem, generation: int
) -> DocumentItem:
    """Return the item with the embeddings of its next pieces; one piece is held at a time."""
    end = time.monotonic() + TURN_S
    pieces = list(item.pieces)
    try:
        encoder: Encoder = state.component(stage, item.modality, generation)
        for place, piece in enumerate(pieces):
            if piece["made"].get(stage.vector, -1) >= stage.index:
                continue
            arrays: Sequence[NDArray[Any]] = (
                carrying.unload(state, piece)
                if stage.reads is None
                else list(carrying.rows_of(state, piece, stage.reads))
            )
            rows = _embedded(encoder, _chunks_of(arrays))
            pieces[place] = carrying.with_rows(state, piece, stage.vector, rows, stage.index)
            if time.monotonic() >= end:
                break
    except IndexStoreError:
        raise  # the store's fault, not the document's: it is sent again
    except Exception as error:
        logger.exception("encode: document %s failed", item.doc_id)
        carrying.drop(state, replace(item, pieces=tuple(pieces)))
        return replace(item, error=f"encode: {error}", pieces=())
    return replace(item, pieces=tuple(pieces))
