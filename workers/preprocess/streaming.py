"""Long media, cut a little at a time: a task does so much, hands on, and lets others have a turn.

A film of an hour would hold up every query behind it, and its message would be taken for one whose
worker has died. So a task stops in a pause of the stream once its time is over, and sends itself
the rest. The open decoder stays in this process for a while: mostly the rest comes back here.
"""

from __future__ import annotations

import time
import uuid
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compose.wire.messages import DocumentItem
from workers import carrying
from workers.component import Chunk, Cursor, Placed, Source, Streaming
from workers.errors import ContentError
from workers.preprocess.found_tags import found_tags
from workers.runtime import Runtime

TURN_S = 0.4  # what a query waits behind a film, and a thousand times the cost of a message
_MOST_OPEN = 2

Stream = Generator[Chunk | None]


@dataclass(slots=True)
class _Open:
    """The streams of this process that paused, by the names that their cursors carry."""

    streams: OrderedDict[str, tuple[Stream, Cursor]] = field(default_factory=OrderedDict)

    def take(self, name: str) -> tuple[Stream, Cursor] | None:
        return self.streams.pop(name, None)

    def keep(self, stream: Stream, cursor: Cursor) -> str:
        name = uuid.uuid4().hex
        self.streams[name] = (stream, cursor)
        while len(self.streams) > _MOST_OPEN:
            _, (oldest, _) = self.streams.popitem(last=False)
            oldest.close()
        return name


_open = _Open()


def advance(
    state: Runtime, component: Streaming, item: DocumentItem, source: Source, dtype: Any
) -> DocumentItem:
    """Return the item with the chunks of one more turn; wholly cut when its cursor is None.

    Args:
        state: of the process.
        component: what cuts.
        item: as far as it is cut.
        source: its medium.
        dtype: of places.
    """
    paused = item.cursor
    opened = _open.take(paused["open"]) if paused else None
    at = carrying.take_cursor(state, paused["at"] if paused else None)
    stream, cursor = opened or (component.stream(source, at), at)
    chunks, pieces, is_over = _turn(state, stream)
    before = carrying.placed_of(item)
    placed = _joined(before, Placed.of(chunks))
    rest = [chunk for chunk in chunks if chunk.array is not None]
    item = replace(
        item,
        pieces=(*item.pieces, *pieces),
        chunk_texts=_texts(item.chunk_texts, len(before.weights), chunks),
        tags=found_tags([Chunk(tags=item.tags), *chunks]),
    )
    if not is_over:
        kept = carrying.keep_cursor(state, cursor)
        paused = {"at": kept, "open": _open.keep(stream, cursor)}
        return _columns(_aside(state, item, rest), placed, (np.float64, np.float64), paused)
    return _settled(state, component, item, (placed, rest, cursor), dtype)


def _turn(state: Runtime, stream: Stream) -> tuple[list[Chunk], list[carrying.Piece], bool]:
    """Return what a stream yields in one turn: chunks, full pieces, whether it is over.

    The chunks of pieces come without their arrays.
    """
    end = time.monotonic() + TURN_S
    done: list[Chunk] = []
    fresh: list[Chunk] = []
    pieces: list[carrying.Piece] = []
    for chunk in stream:
        if chunk is not None:
            fresh.append(chunk)
            if carrying.size_of(fresh) >= carrying.PIECE_BYTES:
                pieces.append(carrying.piece_of(state, fresh))
                done += [replace(one, array=None) for one in fresh]
                fresh = []
        elif time.monotonic() >= end:
            return done + fresh, pieces, False
    return done + fresh, pieces, True


def _settled(
    state: Runtime,
    component: Streaming,
    item: DocumentItem,
    made: tuple[Placed, Sequence[Chunk], Cursor],
    dtype: Any,
) -> DocumentItem:
    """Return the item wholly cut: weights and places final, what is left out gone."""
    placed, rest, cursor = made
    if not len(placed.weights):
        raise ContentError("nothing of the medium could be cut into chunks")
    placed = component.settle(placed, cursor)
    kept = placed.weights > 0
    final = Placed(placed.weights[kept], placed.spans[kept])
    item = replace(item, chunk_texts=tuple(compress(item.chunk_texts, kept.tolist())))
    if item.pieces:
        item = replace(_aside(state, item, rest), kept=None if kept.all() else kept)
    else:
        item = carrying.load(state, item, list(compress(rest, kept.tolist())))
    return _columns(item, final, (np.float32, dtype), None)


def _aside(state: Runtime, item: DocumentItem, chunks: Sequence[Chunk]) -> DocumentItem:
    """Return the item with some more chunks laid aside."""
    if not chunks:
        return item
    return replace(item, pieces=(*item.pieces, carrying.piece_of(state, chunks)))


def _columns(
    item: DocumentItem, placed: Placed, dtypes: tuple[Any, Any], cursor: Any
) -> DocumentItem:
    """Return the item with weights and places of these types."""
    return replace(
        item,
        positions=np.arange(len(placed.weights), dtype=np.int32),
        weights=placed.weights.astype(dtypes[0]),
        spans=placed.spans.astype(dtypes[1]),
        cursor=cursor,
    )


def _texts(known: tuple[str, ...], before: int, fresh: Sequence[Chunk]) -> tuple[str, ...]:
    """Return the texts of all chunks so far, of which ``before`` came earlier; () without any."""
    texts = tuple(chunk.text or "" for chunk in fresh)
    if not known and not any(texts):
        return ()
    return (*(known or ("",) * before), *texts)


def _joined(before: Placed, fresh: Placed) -> Placed:
    if not len(before.weights):
        return fresh
    if not len(fresh.weights):
        return before
    spans: Sequence[NDArray[Any]] = (before.spans, fresh.spans)
    return Placed(np.concatenate([before.weights, fresh.weights]), np.concatenate(spans))
