"""How pixels, frames and samples travel between stages: small ones inside, large ones aside.

What is too large for a message lies in the media store under its hash and is collected like any
blob that nothing refers to; a retry that finds it again costs nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from compose.wire import codec
from compose.wire.messages import DocumentItem
from workers.component import Chunk
from workers.runtime import Runtime

INSIDE_BYTES = 512 * 1024  # of one document; Redis holds a message twice while it is worked on

Arrays = tuple[NDArray[Any], ...]


def load(state: Runtime, item: DocumentItem, chunks: Sequence[Chunk]) -> DocumentItem:
    """Return the item with the arrays of its chunks, if it has any, inside or aside."""
    arrays = tuple(chunk.array for chunk in chunks if chunk.array is not None)
    if sum(array.nbytes for array in arrays) <= INSIDE_BYTES:
        return replace(item, chunk_arrays=arrays)
    blob = state.media.put(codec.dumps(arrays))
    return replace(item, scratch=blob.name)


def unload(state: Runtime, item: DocumentItem) -> Arrays:
    """Return the arrays of the item's chunks, wherever they are."""
    if item.scratch is None:
        return item.chunk_arrays
    return tuple(codec.loads(state.media.get(item.scratch)))


def emptied(item: DocumentItem) -> DocumentItem:
    """Return the item without its arrays: nobody needs them once they are encoded."""
    return replace(item, chunk_arrays=(), scratch=None)
