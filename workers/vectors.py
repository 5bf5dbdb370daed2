"""Small arithmetic on rows that several encoders share."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Floats
from workers.errors import ContentError

#: Shorter than this a vector has no direction that float32 could tell from noise.
_NO_LENGTH = 1e-12
#: Axes of several vectors that belong to one chunk: (l, d).
_SEQUENCE = 2


def unit_rows(rows: NDArray[np.floating]) -> Floats:
    """Return the rows scaled to length 1, float32; a row of zeros points along the first axis.

    A vector without direction would have no cosine; a fixed one keeps "every row has length 1"
    true, so that indexes need no exception for it.
    """
    out = np.array(rows, dtype=np.float32)
    norms = np.linalg.norm(out, axis=1, keepdims=True)
    dead = norms[:, 0] < _NO_LENGTH
    if dead.any():
        out[dead], norms[dead] = 0.0, 1.0
        out[dead, 0] = 1.0
    return np.asarray(out / norms, dtype=np.float32)


def text_of(chunk: Chunk) -> str:
    """Return a chunk's text; ContentError when it has none."""
    if chunk.text is None:
        raise ContentError(
            f"chunk {chunk.position} holds no text",
            "this encoder reads text; give the flow an encoder for this modality",
        )
    return chunk.text


def stacked(chunks: Sequence[Chunk]) -> NDArray[np.generic]:
    """Return the arrays of one or more chunks as one array with a row a chunk.

    Chunks of several vectors each (l, d) of different number give a masked array (n, l, d).

    Raises:
        ContentError: a chunk has no array, or the arrays differ in dimension.
    """
    arrays = [chunk.array for chunk in chunks if chunk.array is not None]
    if len(arrays) != len(chunks):
        raise ContentError("a chunk holds no vector", "this encoder reads what another one made")
    if len({array.shape for array in arrays}) == 1:
        return np.stack(arrays)
    if len({array.shape[1:] for array in arrays}) > 1 or arrays[0].ndim != _SEQUENCE:
        shapes = sorted({array.shape for array in arrays})
        raise ContentError(f"vectors of different shapes {shapes} in one batch")
    return padded_rows(arrays)


def padded_rows(sequences: Sequence[NDArray[Any]]) -> NDArray[np.generic]:
    """Return sequences of vectors (l, d) as one masked array (n, l, d), padded on the right."""
    lengths = np.array([len(sequence) for sequence in sequences])
    shape = (len(sequences), int(lengths.max()), *sequences[0].shape[1:])
    values = np.zeros(shape, sequences[0].dtype)
    for row, sequence in zip(values, sequences, strict=True):
        row[: len(sequence)] = sequence
    padding = np.arange(shape[1]) >= lengths[:, None]
    mask = np.broadcast_to(padding.reshape(*padding.shape, *[1] * (len(shape) - 2)), shape)
    return np.ma.MaskedArray(values, mask)
