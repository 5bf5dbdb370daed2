"""Vectors shifted, scaled or reduced to their signs."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats, State
from workers.encode.transform import TrainedTransform, Transform, require_width
from workers.vectors import unit_rows


class Standardizer(TrainedTransform):
    """Shifts and scales every dimension to mean 0 and deviation 1 over what it learnt from."""

    aliases = ("StandarderEncoder", "Standarder")
    keeps_dim = True

    def __init__(self) -> None:
        self._mean = np.zeros(0, np.float32)
        self._scale = np.zeros(0, np.float32)

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Learn mean and deviation; a dimension that never changes keeps its scale."""
        deviation = rows.std(axis=0, dtype=np.float64)
        scale = np.where(deviation > 0, deviation, 1.0)
        self._take(rows.mean(axis=0, dtype=np.float64), scale)

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return (x - mean) / deviation."""
        require_width(rows, self.dim, self.title)
        return np.asarray((np.asarray(rows, np.float32) - self._mean) / self._scale)

    def state(self) -> State:
        """Return mean and scale."""
        return {"mean": self._mean, "scale": self._scale} if self.is_trained else {}

    def load_state(self, state: State) -> None:
        """Take mean and scale over."""
        self._take(state["mean"], state["scale"])

    def _take(self, mean: NDArray[np.floating], scale: NDArray[np.floating]) -> None:
        self._mean, self._scale = mean.astype(np.float32), scale.astype(np.float32)
        self.dim = len(mean)
        self.is_trained = True


class Normalizer(Transform):
    """Scales every vector to length 1."""

    aliases = ("NormalizeEncoder",)
    keeps_dim = True

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return unit rows."""
        return unit_rows(np.asarray(rows, np.float32))


class Binarizer(Transform):
    """One bit a dimension: is it above the threshold? Eight to a byte, for binary indexes.

    Args:
        threshold: values above it are 1.
    """

    aliases: ClassVar[tuple[str, ...]] = ("BinaryEncoder",)
    dtype = "uint8"
    metric = "bits"

    def __init__(self, *, threshold: float = 0.0) -> None:
        self.threshold = threshold

    def transform(self, rows: NDArray[np.generic]) -> NDArray[np.uint8]:
        """Return the bits, uint8 (n, d / 8); the last byte is filled with 0."""
        return np.packbits(np.asarray(rows, np.float32) > self.threshold, axis=1)
