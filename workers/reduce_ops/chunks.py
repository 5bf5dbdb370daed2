"""From the scores of a document's chunks to the document's: sum, average, max, min, product."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Reducer

Values = NDArray[np.float64]


class Sum(Reducer):
    """Adds the scores of a document's chunks; the default."""

    name = "sum"

    def reduce(self, values: NDArray[Any], groups: NDArray[Any], count: int) -> Values:
        """Return the sums; 0 for a group without values."""
        return np.asarray(np.bincount(groups, weights=values, minlength=count), np.float64)


class Average(Sum):
    """The mean score of a document's chunks."""

    name = "avg"

    def reduce(self, values: NDArray[Any], groups: NDArray[Any], count: int) -> Values:
        """Return the means; 0 for a group without values."""
        sizes = np.bincount(groups, minlength=count)
        return np.asarray(super().reduce(values, groups, count) / np.maximum(sizes, 1), np.float64)


class _Folded(Reducer):
    """Folds the values of a group by a ufunc; 0 for a group without values."""

    fold: ClassVar[np.ufunc]
    start: ClassVar[float]

    def reduce(self, values: NDArray[Any], groups: NDArray[Any], count: int) -> Values:
        """Return one value a group."""
        out = np.full(count, self.start, np.float64)
        self.fold.at(out, groups, values)
        out[np.bincount(groups, minlength=count) == 0] = 0.0
        return out


class Max(_Folded):
    """The best score of a document's chunks."""

    name = "max"
    fold, start = np.maximum, -np.inf

    def reduce(self, values: NDArray[Any], groups: NDArray[Any], count: int) -> Values:
        """Return the largest; 0 for a group without values."""
        return super().reduce(values, groups, count)


class Min(_Folded):
    """The worst score of a document's chunks."""

    name = "min"
    fold, start = np.minimum, np.inf


class Multiply(_Folded):
    """The product of the scores of a document's chunks."""

    name = "multiply"
    fold, start = np.multiply, 1.0
