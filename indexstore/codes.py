"""How codes are compared: numbers that are equal or not, and bits, perhaps within buckets.

Codes travel and are stored as vectors of whole numbers. In a vector with buckets the numbers from
``FIRST_BUCKET`` on, which come first, say in which buckets it lies; those below are bytes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

FIRST_BUCKET = 256  # more than a byte can say, so that a row itself tells its buckets

Rows = NDArray[Any]
Scores = NDArray[np.float32]


def bucket_columns(rows: Rows) -> int:
    """Return how many numbers of each row are buckets."""
    return int(np.count_nonzero(rows[0] >= FIRST_BUCKET)) if len(rows) else 0


def equal_share(queries: Rows, rows: Rows) -> Scores:
    """Return the share of numbers that are equal, (q, n), as GNES's BIndexer had it."""
    equal = np.zeros((len(queries), len(rows)), np.float32)
    for asked, stored in zip(queries.T, rows.T, strict=True):
        equal += asked[:, None] == stored[None, :]
    return np.asarray(equal / np.float32(rows.shape[1]))


def alike_share(queries: Rows, rows: Rows) -> Scores:
    """Return the share of bits that are equal, (q, n); 0 for rows that share no bucket."""
    width = bucket_columns(rows)
    left, right = _signs(queries[:, width:]), _signs(rows[:, width:])
    alike = 0.5 + 0.5 * (left @ right.T) / np.float32(right.shape[1])
    if width:
        together = np.zeros(alike.shape, np.bool_)
        for asked, stored in zip(queries.T[:width], rows.T[:width], strict=True):
            together |= asked[:, None] == stored[None, :]
        alike[~together] = 0.0
    return np.asarray(alike, np.float32)


def pairs_alike(queries: Rows, rows: Rows) -> NDArray[np.float64]:
    """Return the share of equal bits of row i and query i, (p,); 0 where they share no bucket."""
    width = bucket_columns(rows)
    left, right = queries[:, width:].astype(np.uint8), rows[:, width:].astype(np.uint8)
    alike = np.asarray(1.0 - differing_bits(left, right) / (8.0 * right.shape[1]))
    if width:
        alike[~(queries[:, :width] == rows[:, :width]).any(axis=1)] = 0.0
    return alike


def differing_bits(left: NDArray[np.uint8], right: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how many bits of the bytes of two rows differ; arguments are broadcast."""
    return np.asarray(np.bitwise_count(left ^ right).sum(axis=-1, dtype=np.int64))


def _signs(rows: Rows) -> NDArray[np.float32]:
    """Return the bits of bytes as 1 and -1, (n, 8 b)."""
    bits = np.unpackbits(rows.astype(np.uint8), axis=1)
    return bits.astype(np.float32) * 2.0 - 1.0
