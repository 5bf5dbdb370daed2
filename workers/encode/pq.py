"""Product quantisation: a vector as a few bytes."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import State
from workers.encode.kmeans import centroids_of, nearest
from workers.encode.transform import TrainedTransform, require_width

#: Codes begin at 1, as GNES's did (0 stays free), so a byte holds 255 of them.
MAX_CLUSTERS = 255

Bytes = NDArray[np.uint8]


class PQ(TrainedTransform):
    """Product quantisation: cuts a vector into parts, each becomes the number of its cluster.

    Codes are bytes 1..clusters, for binary indexes.

    Args:
        num_bytes: parts, and bytes a vector becomes; the input's dimension is a multiple of it.
        clusters: clusters a part, 2..255.

    Source:
        Jegou, Douze, Schmid, Product quantization for nearest neighbor search (2011).
    """

    aliases: ClassVar[tuple[str, ...]] = ("PQEncoder", "TFPQEncoder")
    former_options: ClassVar[dict[str, str | None]] = {"cluster_per_byte": "clusters"}
    dim_option = "num_bytes"
    takes_dim: ClassVar[dict[str, str]] = {"multiple of": "num_bytes"}
    dtype = "uint8"
    metric = "bytes"

    def __init__(self, *, num_bytes: int, clusters: int = MAX_CLUSTERS) -> None:
        if num_bytes < 1:
            raise ValueError(f"num_bytes must be at least 1, not {num_bytes}")
        if not 1 < clusters <= MAX_CLUSTERS:
            raise ValueError(f"clusters must lie in 2..{MAX_CLUSTERS}, not {clusters}")
        self.num_bytes = self.dim = num_bytes
        self.clusters = clusters
        self._centroids = np.zeros((num_bytes, 0, 0), np.float32)

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Learn the clusters of every part."""
        count, width = rows.shape
        self.expect(
            width % self.num_bytes == 0, f"{width} dimensions cannot be cut into {self.num_bytes}"
        )
        self.expect(count >= self.clusters, f"{count} rows are fewer than {self.clusters} clusters")
        parts = np.split(rows, self.num_bytes, axis=1)
        self._centroids = np.stack([centroids_of(part, self.clusters) for part in parts])
        self.is_trained = True

    def transform(self, rows: NDArray[np.generic]) -> Bytes:
        """Return each part's cluster, uint8 (n, num_bytes) in 1..clusters."""
        parts, _, width = self._centroids.shape
        require_width(rows, parts * width, self.title)
        pieces = np.split(rows, parts, axis=1)
        codes = [nearest(piece, self._centroids[part]) for part, piece in enumerate(pieces)]
        return (np.stack(codes, axis=1) + 1).astype(np.uint8)

    def state(self) -> State:
        """Return the centroids, (num_bytes, clusters, d / num_bytes)."""
        return {"centroids": self._centroids} if self.is_trained else {}

    def load_state(self, state: State) -> None:
        """Take the centroids over."""
        self._centroids = np.asarray(state["centroids"], np.float32)
        self.is_trained = True
