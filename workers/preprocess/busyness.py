"""How much there is to see in pictures, as weights: a plain one has all its pixels in one place."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def unevenness(pixels: NDArray[np.uint8]) -> float:
    """Return how uneven the histogram of a picture is: large where it is of one brightness."""
    return float(np.var(np.bincount(pixels.reshape(-1) >> 4, minlength=16) / pixels.size))


def shares(uneven: NDArray[Any]) -> NDArray[np.float64]:
    """Return a weight a picture, 1 in all, by the softmax over how even the histograms are."""
    weights = np.exp(-10 * uneven / max(float(uneven.max(initial=0.0)), 1e-12))
    return np.asarray(weights / weights.sum())
