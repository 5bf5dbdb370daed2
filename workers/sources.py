"""Where stages read a medium from: the message, or the store, as a file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from workers.component import Chunk, Source
from workers.runtime import Runtime


def medium_of(state: Runtime, modality: Any, content: bytes | str) -> Source:
    """Return a medium as a preprocessor reads it.

    Args:
        state: of the process.
        modality: image, video or audio.
        content: its bytes, or the name of the blob, which is opened only when it is read.
    """
    if isinstance(content, bytes):
        return Source(modality, data=content)
    return Source(modality, opener=partial(state.media.open, content))


def heaviest(chunks: Sequence[Chunk], most: int) -> Sequence[Chunk]:
    """Return the ``most`` heaviest chunks, in order."""
    if len(chunks) <= most:
        return chunks
    weights = np.array([chunk.weight for chunk in chunks])
    places = np.sort(np.argsort(-weights, kind="stable")[:most])
    return [chunks[place] for place in places.tolist()]
