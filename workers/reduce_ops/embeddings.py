"""Embeddings of parallel encoders made one: side by side, or their mean."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.errors import ContentError


def concatenated(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Join embeddings along their last axis: (n, a) and (n, b) give (n, a + b).

    Raises:
        ContentError: the parts are of different chunks.
    """
    if len({part.shape[:-1] for part in parts}) > 1:
        raise ContentError(f"embeddings {_shapes(parts)} are not of the same chunks")
    return np.concatenate(parts, axis=-1)


def averaged(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return the mean of embeddings of one shape.

    Raises:
        ContentError: the parts differ in shape.
    """
    if len({part.shape for part in parts}) > 1:
        raise ContentError(f"embeddings {_shapes(parts)} differ in shape")
    return np.asarray(np.mean(parts, axis=0), np.float32)


def _shapes(parts: Sequence[NDArray[Any]]) -> str:
    return " and ".join(str(part.shape) for part in parts)
