"""Many vectors of one chunk (tokens, frames) as one vector of residuals."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats, State
from workers.encode.kmeans import centroids_of, nearest
from workers.encode.transform import TrainedTransform, require_width
from workers.errors import ContentError
from workers.vectors import unit_rows

_SEQUENCES = 3


class VLAD(TrainedTransform):
    """Vector of locally aggregated descriptors: a chunk's frames or tokens as one unit vector.

    Each frame's difference to its nearest centroid is added to that centroid's part of the vector.

    Args:
        num_clusters: centroids; the result has num_clusters times the input's dimensions.

    Source:
        Jegou, Douze, Schmid, Perez, Aggregating local descriptors (2010).
    """

    aliases: ClassVar[tuple[str, ...]] = ("VladEncoder",)
    former_options: ClassVar[dict[str, str | None]] = {"using_faiss_pred": None}

    def __init__(self, *, num_clusters: int) -> None:
        if num_clusters < 1:
            raise ValueError(f"num_clusters must be at least 1, not {num_clusters}")
        self.num_clusters = num_clusters
        self._centroids = np.zeros((0, 0), np.float32)

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Learn the centroids from the frames of all chunks."""
        frames = _frames(rows)
        self.expect(
            len(frames) >= self.num_clusters,
            f"{len(frames)} frames are fewer than {self.num_clusters} clusters",
        )
        self._take(centroids_of(frames, self.num_clusters))

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return the residuals of each chunk's frames, float32 (n, num_clusters * d)."""
        if rows.ndim != _SEQUENCES:
            raise ContentError(
                "VLAD reads several vectors a chunk", "put it behind frames or tokens"
            )
        count, length, width = rows.shape
        require_width(rows, self._centroids.shape[1], self.title)
        values = np.asarray(np.ma.getdata(rows), np.float32).reshape(-1, width)
        is_real = ~np.ma.getmaskarray(rows)[:, :, 0].reshape(-1)
        cells = nearest(values, self._centroids)
        place = np.repeat(np.arange(count), length) * self.num_clusters + cells
        residuals = np.zeros((count * self.num_clusters, width), np.float32)
        np.add.at(residuals, place[is_real], (values - self._centroids[cells])[is_real])
        return unit_rows(residuals.reshape(count, -1))

    def state(self) -> State:
        """Return the centroids."""
        return {"centroids": self._centroids} if self.is_trained else {}

    def load_state(self, state: State) -> None:
        """Take the centroids over."""
        self._take(np.asarray(state["centroids"], np.float32))

    def _take(self, centroids: Floats) -> None:
        self._centroids = centroids
        self.dim = centroids.size
        self.is_trained = True


def _frames(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all frames that are no padding, (m, d)."""
    flat = np.ma.getdata(rows).reshape(-1, rows.shape[-1])
    if rows.ndim < _SEQUENCES:
        return flat
    return np.asarray(flat[~np.ma.getmaskarray(rows)[:, :, 0].reshape(-1)])
