"""Runs of rows: every document owns consecutive rows, from one start to the next."""

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def rows_of(starts: Indices, members: Indices) -> tuple[Indices, Indices]:
    """Return the rows of some members one after the other, and where each member's begin.

    ``starts`` has one entry more than there are members: the end of the last one.
    """
    first = starts[members]
    lengths = starts[members + 1] - first
    ends = np.cumsum(lengths)
    begins = ends - lengths
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) + np.repeat(first - begins, lengths), begins


def starts_of(lengths: NDArray[np.integer] | list[int]) -> Indices:
    """Return the start of each run and the end of the last."""
    starts = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts
