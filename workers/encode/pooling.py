"""Several vectors of a chunk pooled to one."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats
from workers.encode.transform import Transform
from workers.models.model_folder import Pooling
from workers.models.pooling import pool

_SEQUENCES = 3


class TokenPooling(Transform):
    """Pools the token or frame vectors of a chunk to one; what is one vector already stays.

    Args:
        pooling: mean, max, mean-max (both beside each other) or cls (the first).
    """

    aliases: ClassVar[tuple[str, ...]] = ("PoolingEncoder",)
    former_options: ClassVar[dict[str, str | None]] = {
        "pooling_strategy": "pooling",
        "backend": None,
    }

    def __init__(self, *, pooling: Pooling = "mean") -> None:
        self._how: Pooling = pooling

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return one row a chunk, float32."""
        if rows.ndim < _SEQUENCES:
            return np.asarray(rows, np.float32)
        counts = ~np.ma.getmaskarray(rows)[:, :, 0]
        return pool(np.asarray(np.ma.getdata(rows), np.float32), counts, how=self._how)
