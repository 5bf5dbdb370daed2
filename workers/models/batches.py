"""Batches of texts of like length, so that little of a batch is padding."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]


def length_sorted(lengths: Sequence[int], *, budget: int) -> Iterator[list[int]]:
    """Yield the rows of each batch, longest texts first, at most ``budget`` padded tokens each.

    A text longer than the budget makes a batch alone. The longest come first so that memory that
    would not suffice fails at once and not after an hour.
    """
    order = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batch: list[int] = []
    for row in order:
        longest = lengths[batch[0]] if batch else lengths[row]
        if batch and longest * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def padded(ids: Sequence[Sequence[int]], *, pad: int = 0) -> tuple[Ints, Ints]:
    """Return token ids padded on the right to the longest, int64 (n, l), and their mask."""
    longest = max(map(len, ids), default=0)
    tokens = np.full((len(ids), longest), pad, np.int64)
    mask = np.zeros((len(ids), longest), np.int64)
    for row, sequence in enumerate(ids):
        tokens[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return tokens, mask
