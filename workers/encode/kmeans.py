"""Centroids of vectors, by faiss."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats

ITERATIONS = 20


def centroids_of(rows: NDArray[Any], count: int, *, seed: int = 1234) -> Floats:
    """Return ``count`` centroids of the rows, float32 (count, d); the same for the same rows.

    Source:
        Lloyd, Least squares quantization in PCM (1982), as faiss implements it.
    """
    import faiss  # noqa: PLC0415  (heavy; needed only where something is trained)

    rows = np.ascontiguousarray(rows, np.float32)
    means = faiss.Kmeans(
        rows.shape[1], count, niter=ITERATIONS, seed=seed, min_points_per_centroid=1
    )
    means.train(rows)
    return np.array(means.centroids, np.float32).reshape(count, rows.shape[1])


def nearest(rows: NDArray[Any], centroids: NDArray[Any]) -> NDArray[np.int64]:
    """Return the place of each row's nearest centroid, (n,); the first of equally near ones."""
    rows = np.asarray(rows, np.float64)
    centres = np.asarray(centroids, np.float64)
    squares = (centres * centres).sum(axis=1) - 2.0 * (rows @ centres.T)
    return np.asarray(squares.argmin(axis=1))
