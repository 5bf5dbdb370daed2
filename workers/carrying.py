"""How pixels, frames and samples travel between stages: small ones inside, large ones aside.

What is too large for a message lies in the store's scratch: of a long medium in pieces that fit
into memory, so that the length of a film bounds neither messages nor the memory of a stage; of the
other documents of a batch in one file. In a message pixels would be written as base64 in JSON, and
go over the wire three times: to the broker, to the worker, and into the broker's note of what is in
hand. Who reads a file last deletes it; what a document leaves that came to nothing is swept.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compose.wire import codec
from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.filesystems import STORE_FAULTS
from workers.component import Chunk, Cursor, Placed
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

#: Of one document's arrays, or its embeddings; Redis holds a message twice while it is worked on.
INSIDE_BYTES = 512 * 1024
PIECE_BYTES = 4 * 1024 * 1024
#: Of all arrays of a batch; below it a file costs as much as the message.
BATCH_INSIDE_BYTES = 64 * 1024

Arrays = tuple[NDArray[Any], ...]
Piece = Mapping[str, Any]


def size_of(chunks: Sequence[Chunk]) -> int:
    """Return the bytes of some chunks' arrays."""
    return sum(chunk.array.nbytes for chunk in chunks if chunk.array is not None)


def load(state: Runtime, item: DocumentItem, chunks: Sequence[Chunk]) -> DocumentItem:
    """Return the item with the arrays of its chunks, if they have any, inside or aside."""
    if not item.pieces and size_of(chunks) <= INSIDE_BYTES:
        return replace(item, chunk_arrays=arrays_of(chunks))
    pieces = [piece_of(state, run) for run in _runs(chunks)]
    return replace(item, pieces=(*item.pieces, *pieces))


def piece_of(state: Runtime, chunks: Sequence[Chunk]) -> Piece:
    """Lay the arrays of some chunks aside, in one piece."""
    name = state.media.scratch.put(codec.dumps(arrays_of(chunks)))
    return {"count": len(chunks), "arrays": name, "rows": {}, "made": {}}


def arrays_of(chunks: Sequence[Chunk]) -> Arrays:
    """Return what the chunks hold beside text."""
    return tuple(chunk.array for chunk in chunks if chunk.array is not None)


def unload(state: Runtime, piece: Piece) -> Arrays:
    """Return the arrays of a piece."""
    return tuple(codec.loads(state.media.scratch.get(piece["arrays"])))


def with_rows(
    state: Runtime, piece: Piece, vector: str, rows: NDArray[Any], stage: int = 0
) -> Piece:
    """Return a piece with the embeddings that a stage made of its chunks, laid aside as well.

    They take the place of those that it read under the same name.
    """
    name = state.media.scratch.put(codec.dumps(rows))
    _delete(state, [piece["rows"][vector]] if vector in piece["rows"] else [])
    return {
        **piece,
        "rows": {**piece["rows"], vector: name},
        "made": {**piece["made"], vector: stage},
    }


def rows_of(state: Runtime, piece: Piece, vector: str) -> NDArray[Any]:
    """Return the embeddings of a piece's chunks."""
    rows: NDArray[Any] = codec.loads(state.media.scratch.get(piece["rows"][vector]))
    return rows


def keep_cursor(state: Runtime, cursor: Cursor) -> Any:
    """Return a cursor as it travels: itself, or the name under which it lies."""
    packed = codec.dumps(cursor)
    return codec.loads(packed) if len(packed) <= INSIDE_BYTES else state.media.scratch.put(packed)


def take_cursor(state: Runtime, kept: Any) -> Cursor:
    """Return a cursor that travelled, to be changed."""
    if not isinstance(kept, str):
        return dict(kept or {})
    cursor: Cursor = codec.loads(state.media.scratch.get(kept))
    _delete(state, [kept])
    return cursor


def placed_of(item: DocumentItem) -> Placed:
    """Return weights and places of the chunks that the item has so far."""
    if item.weights is None or item.spans is None:
        return Placed(np.empty(0), np.empty((0, 2)))
    return Placed(item.weights.astype(np.float64), item.spans.astype(np.float64))


def emptied(state: Runtime, item: DocumentItem) -> DocumentItem:
    """Return an encoded item without its arrays, its embeddings together in one place."""
    embeddings = dict(item.embeddings)
    for vector in item.pieces[0]["rows"] if item.pieces else ():
        rows = np.concatenate([rows_of(state, piece, vector) for piece in item.pieces])
        embeddings[vector] = rows if item.kept is None else rows[item.kept]
    drop(state, item)
    return replace(item, chunk_arrays=(), pieces=(), kept=None, embeddings=embeddings)


def lightened(state: Runtime, item: DocumentItem) -> DocumentItem:
    """Return the item with its embeddings aside, where they are too large for a message."""
    if sum(rows.nbytes for rows in item.embeddings.values()) <= PIECE_BYTES:
        return item
    name = state.media.scratch.put(codec.dumps(dict(item.embeddings)))
    return replace(item, embeddings={}, aside=name)


def whole(state: Runtime, item: DocumentItem) -> DocumentItem:
    """Return the item with its embeddings, wherever they are."""
    if item.aside is None:
        return item
    return replace(item, embeddings=codec.loads(state.media.scratch.get(item.aside)))


def packed(state: Runtime, batch: DocumentBatch) -> DocumentBatch:
    """Return a batch as it travels to a stage: its documents' arrays aside, if they are large.

    Raises:
        StorageFullError: there is no space for them.
    """
    arrays = [item["chunk_arrays"] for item in batch.items]
    if sum(array.nbytes for held in arrays for array in held) <= BATCH_INSIDE_BYTES:
        return batch
    name = state.media.scratch.put(codec.dumps(arrays))
    return replace(bare(batch), arrays=name)


def unpacked(state: Runtime, batch: DocumentBatch) -> DocumentBatch:
    """Return a batch that travelled with its documents' arrays again; the file stays.

    Raises:
        ScratchGoneError: the file is gone.
    """
    if batch.arrays is None:
        return batch
    arrays = codec.loads(state.media.scratch.get(batch.arrays))
    items = tuple(
        {**item, "chunk_arrays": tuple(held)}
        for item, held in zip(batch.items, arrays, strict=True)
    )
    return replace(batch, items=items, arrays=None)


def bare(batch: DocumentBatch) -> DocumentBatch:
    """Return a batch without the arrays of its documents."""
    return replace(batch, items=tuple({**item, "chunk_arrays": ()} for item in batch.items))


def drop_packed(state: Runtime, batch: DocumentBatch) -> None:
    """Delete what a batch had aside when it came."""
    if batch.arrays is not None:
        _delete(state, [batch.arrays])


def drop(state: Runtime, item: DocumentItem) -> None:
    """Delete what the item has aside."""
    names = [item.aside, item.cursor if isinstance(item.cursor, str) else None]
    for piece in item.pieces:
        names += [piece["arrays"], *piece["rows"].values()]
    _delete(state, [name for name in names if name is not None])


def _delete(state: Runtime, names: Sequence[str]) -> None:
    """Delete files; a store that is away must not undo the work that is done with them."""
    try:
        state.media.scratch.drop(names)
    except STORE_FAULTS as error:
        logger.warning("%d files between stages stay until they are swept: %s", len(names), error)


def _runs(chunks: Sequence[Chunk]) -> list[list[Chunk]]:
    """Return chunks in runs that fit into a piece, or are alone in one."""
    runs: list[list[Chunk]] = []
    room = 0
    for chunk in chunks:
        room -= size_of([chunk])
        if room < 0:
            runs.append([])
            room = PIECE_BYTES - size_of([chunk])
        runs[-1].append(chunk)
    return runs
