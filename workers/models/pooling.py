"""From a vector a token to one vector a text."""

from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats
from workers.models.model_folder import Pooling

#: All ways to pool.
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

#: What padding counts in a maximum: less than any token.
_LOWEST = np.float32(-1e30)


def pool(hidden: NDArray[Any], mask: NDArray[Any], *, how: Pooling) -> Floats:
    """Pool token vectors over the tokens that count.

    Args:
        hidden: float (n, l, d).
        mask: (n, l), 1 where a token counts, else 0.
        how: mean, max, both beside each other, or the first token's vector.

    Returns:
        float32 (n, d), or (n, 2 d) for mean-max; zeros for a row without tokens.
    """
    if how == "cls":
        return np.ascontiguousarray(hidden[:, 0], dtype=np.float32)
    weights = np.asarray(mask, np.float32)[:, :, None]
    counts = weights.sum(axis=1)
    parts = []
    if how in ("mean", "mean-max"):
        parts.append((hidden * weights).sum(axis=1) / np.maximum(counts, 1))
    if how in ("max", "mean-max"):
        highest = np.where(weights > 0, hidden, _LOWEST).max(axis=1)
        parts.append(np.where(counts > 0, highest, 0))
    return np.concatenate(parts, axis=1, dtype=np.float32)
