"""Vectors that clients bring: can an index of the flow compare them?"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compose.plan import IndexPlan
from indexstore.errors import InvalidVectorError
from indexstore.vectors import checked_rows


def fault_of(row: NDArray[np.float32], indexes: Sequence[IndexPlan]) -> tuple[str, str] | None:
    """Tell why no index of these holds vectors such as ``row``: the problem's code, and a reason.

    An index whose dimension only its first document will tell takes any length.
    """
    fitting = [index for index in indexes if index.dim in {None, len(row)}]
    if indexes and not fitting:
        wanted = " or ".join(str(dim) for dim in sorted({index.dim or 0 for index in indexes}))
        reason = f"{len(row)} numbers were given; this collection holds vectors of {wanted}"
        return "dimension", reason
    if any(index.metric == "cosine" for index in fitting) and not row.any():
        return InvalidVectorError.code, "all numbers are 0: it has no direction to compare"
    try:
        for index in fitting:
            checked_rows(row, dim=index.dim, metric=index.metric)
    except InvalidVectorError as error:
        return error.code, error.reason
    return None
