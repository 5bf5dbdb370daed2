"""Where chunks stand in their original: two numbers for text and time, four for a box.

Columns are as narrow as their content: two numbers a chunk until the first box comes.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexstore.grow import Grow

#: [start, end] of a text, sound or film; [x0, y0, x1, y1] of an image. -1 fills up.
NARROW, WIDE = 2, 4


class Spans:
    """A column of spans that grows at its end; what was read from it before stays as it was."""

    def __init__(self) -> None:
        self._column = Grow(np.float64, NARROW)
        self._width = NARROW

    def extend(self, spans: NDArray[Any], count: int) -> None:
        """Add the spans of some chunks."""
        if spans.shape[-1] > self._width:
            wide = Grow(np.float64, WIDE)
            wide.extend(widened(self._column.view()), len(self._column))
            self._column, self._width = wide, WIDE
        self._column.extend(widened(spans) if self._width == WIDE else spans, count)

    def view(self) -> NDArray[np.float64]:
        """Return the spans so far."""
        return self._column.view()


def widened(spans: NDArray[Any]) -> NDArray[np.float64]:
    """Return spans of four numbers each, filled up by -1."""
    wide = np.full((len(spans), WIDE), -1.0)
    wide[:, : spans.shape[-1]] = spans
    return wide


def joined(columns: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Return columns of spans one after the other, as narrow as they are."""
    if any(column.shape[-1] > NARROW for column in columns):
        columns = [widened(column) for column in columns]
    return np.concatenate(columns).astype(np.float64, copy=False)


def shown(span: Sequence[float]) -> list[float]:
    """Return a span without the numbers that fill it up: two for text and time, four for a box."""
    is_box = len(span) == WIDE and span[NARROW] >= 0
    return list(span if is_box else span[:NARROW])
