"""Rows of vectors at the edge of the store: checked, made float32, and unit where asked."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from indexstore.errors import DimensionError, InvalidVectorError
from indexstore.model import Metric

LONGEST = 1e15  # of a number: products and sums of such stay finite in single precision


def checked_rows(rows: ArrayLike, *, dim: int | None, metric: Metric) -> NDArray[np.float32]:
    """Return the rows as an index of this metric takes them, or refuse them whole.

    The result of a row depends on that row alone, bit for bit, however many come with it: so
    a document has the same vector in every replica and after every rebuild. A row of length 0,
    which encoders give to what they know no word of, stays: by cosine it is like nothing.

    Raises:
        DimensionError: the rows are not ``dim`` wide.
        InvalidVectorError: a row holds a NaN or an infinity, or numbers too large to be
            multiplied where the metric is not cosine.
    """
    table = np.ascontiguousarray(np.atleast_2d(np.asarray(rows, np.float32)))
    if table.ndim != 2 or (dim is not None and table.shape[1] != dim):  # noqa: PLR2004
        raise DimensionError(dim or 0, table.shape[-1])
    require_finite(table)
    if metric == "cosine":
        return unit_rows(table)
    longest = float(np.abs(table).max(initial=0.0))
    if longest > LONGEST:
        raise InvalidVectorError(f"a number as large as {longest:g} makes it too long to compare")
    return table


def require_finite(rows: NDArray[Any]) -> None:
    """Refuse rows with a NaN or an infinity, naming the first."""
    # One multiply-add a number finds nearly every matrix clean: a NaN or an infinity anywhere
    # makes the sum of squares not finite. Only then is it looked for (overflow is innocent).
    flat = rows.reshape(-1)
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(np.dot(flat, flat)):
            return
    faulty = ~np.isfinite(rows).all(axis=1)
    if faulty.any():
        raise InvalidVectorError(f"row {int(np.argmax(faulty))} holds a NaN or an infinity")


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the rows with length 1; one of length 0 stays as it is."""
    wide = rows.astype(np.float64)
    lengths = np.sqrt(np.square(wide).sum(axis=1))
    lengths[lengths == 0] = 1.0
    return np.asarray(wide / lengths[:, None], np.float32)
