"""Small arithmetic on rows that several encoders share."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Floats
from workers.errors import ContentError

#: Shorter than this a vector has no direction that float32 could tell from noise.
_NO_LENGTH = 1e-12


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


def stacked(chunks: Sequence[Chunk], *, dim: int | None = None) -> NDArray[np.generic]:
    """Return the arrays of the chunks as one array with a row a chunk.

    Raises:
        ContentError: a chunk has no array, or the arrays differ in shape.
    """
    arrays = [chunk.array for chunk in chunks if chunk.array is not None]
    if len(arrays) != len(chunks):
        raise ContentError("a chunk holds no vector", "this encoder reads what another one made")
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ContentError(f"vectors of different shapes {sorted(shapes)} in one batch")
    if not arrays:
        return np.zeros((0, dim or 0), np.float32)
    return np.stack(arrays)
