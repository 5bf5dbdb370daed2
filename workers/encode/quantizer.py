"""A fixed grid of cells, each part of a vector the number of its cell."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import State
from workers.encode.pq import MAX_CLUSTERS, Bytes
from workers.encode.transform import TrainedTransform
from workers.errors import ContentError

#: Bounds this many times wider than the data leave nearly all cells empty.
_TOO_WIDE = 10
_SEED = 97


class Quantizer(TrainedTransform):
    """A fixed grid: each part of a vector becomes the number of its cell, 1..clusters.

    Needs no training; ``train`` only checks that the bounds suit the data.

    Args:
        dim_per_byte: dimensions that become one byte; the input's dimension is a multiple of it.
        clusters: cells a byte at most, 2..255.
        upper_bound: largest value the grid covers.
        lower_bound: smallest value the grid covers.
        partition_method: which dimensions of a part get the finer grid: the first, or random ones.
    """

    aliases: ClassVar[tuple[str, ...]] = ("QuantizerEncoder",)
    former_options: ClassVar[dict[str, str | None]] = {"cluster_per_byte": "clusters"}
    takes_dim: ClassVar[dict[str, str]] = {"multiple of": "dim_per_byte"}
    dtype = "uint8"
    metric = "bytes"

    def __init__(
        self,
        *,
        dim_per_byte: int,
        clusters: int = MAX_CLUSTERS,
        upper_bound: float = 10_000.0,
        lower_bound: float = -10_000.0,
        partition_method: Literal["average", "random"] = "average",
    ) -> None:
        if dim_per_byte < 1 or not 1 < clusters <= MAX_CLUSTERS:
            raise ValueError(f"dim_per_byte is at least 1, clusters lie in 2..{MAX_CLUSTERS}")
        if upper_bound <= lower_bound:
            raise ValueError(f"upper_bound {upper_bound} is not above lower_bound {lower_bound}")
        self.dim_per_byte, self.clusters = dim_per_byte, clusters
        self.upper_bound, self.lower_bound = upper_bound, lower_bound
        self.partition_method = partition_method
        self.is_trained = True
        self._points = [
            np.linspace(lower_bound, upper_bound, count + 2)[1:-1] for count in self._counts()
        ]

    @property
    def centroids(self) -> NDArray[np.float64]:
        """The middle of every cell, (cells, dim_per_byte), in the order of their numbers."""
        grid = np.meshgrid(*self._points, indexing="ij")
        return np.stack([axis.ravel() for axis in grid], axis=1)

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Check that the grid's bounds hold the data and are not far wider than it."""
        self.expect(bool(self._inside(rows).all()), self._outside(rows))
        span = float(rows.max() - rows.min())
        is_narrow = self.upper_bound - self.lower_bound < _TOO_WIDE * span
        self.expect(is_narrow, f"bounds are over {_TOO_WIDE} times wider than the data ({span:g})")

    def transform(self, rows: NDArray[np.generic]) -> Bytes:
        """Return the number of each part's cell, uint8 (n, d / dim_per_byte) in 1..clusters."""
        values = np.asarray(rows, np.float64)
        if values.shape[1] % self.dim_per_byte:
            raise ContentError(
                f"{values.shape[1]} dimensions are no multiple of {self.dim_per_byte}"
            )
        if not self._inside(values).all():
            raise ContentError(self._outside(values), "widen the bounds of the Quantizer")
        parts = values.reshape(len(values), -1, self.dim_per_byte)
        codes = np.zeros(parts.shape[:2], np.int64)
        for axis, points in enumerate(self._points):
            cell = np.abs(parts[:, :, axis, None] - points).argmin(axis=2)
            codes = codes * len(points) + cell
        return (codes + 1).astype(np.uint8)

    def state(self) -> State:
        """Return nothing: the options say it all."""
        return {}

    def load_state(self, state: State) -> None:
        """Take nothing over."""

    def _counts(self) -> list[int]:
        """Return the points along each dimension of a part; their product is at most clusters."""
        counts = [1] * self.dim_per_byte
        order = np.arange(self.dim_per_byte)
        if self.partition_method == "random":
            order = np.random.default_rng(_SEED).permutation(self.dim_per_byte)
        cells, place, refused = 1, 0, 0
        while refused < self.dim_per_byte:
            axis = order[place % self.dim_per_byte]
            grown = cells // counts[axis] * (counts[axis] + 1)
            if grown <= self.clusters:
                counts[axis] += 1
                cells, refused = grown, 0
            else:
                refused += 1
            place += 1
        return counts

    def _inside(self, rows: NDArray[np.floating]) -> NDArray[np.bool_]:
        return (rows >= self.lower_bound) & (rows <= self.upper_bound)

    def _outside(self, rows: NDArray[np.floating]) -> str:
        found = f"{float(rows.min()):g}..{float(rows.max()):g}"
        return f"values {found} lie outside of {self.lower_bound:g}..{self.upper_bound:g}"
