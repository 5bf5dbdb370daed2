"""A numpy column that grows at its end: many rows, no Python object each."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_CAPACITY = 256


class Grow:
    """An array that grows at its end; what was read from it before stays as it was."""

    def __init__(self, dtype: Any, width: int | None = None) -> None:
        self._shape: tuple[int, ...] = () if width is None else (width,)
        self._data: NDArray[Any] = np.empty((0, *self._shape), dtype)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def extend(self, rows: Any, count: int) -> None:
        """Add some rows."""
        end = self._used + count
        if end > len(self._data):
            # A longer array, never a moved one: snapshots go on reading the old.
            longer = np.empty(
                (max(end, 2 * len(self._data), FIRST_CAPACITY), *self._shape), self._data.dtype
            )
            longer[: self._used] = self._data[: self._used]
            self._data = longer
        self._data[self._used : end] = rows
        self._used = end

    def view(self) -> NDArray[Any]:
        """Return the rows so far."""
        return self._data[: self._used]
