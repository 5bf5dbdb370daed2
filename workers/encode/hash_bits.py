"""Random projections to bits, beside the clusters a vector lies in."""

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from indexstore.codes import FIRST_BUCKET
from workers.component import State
from workers.encode.kmeans import centroids_of, nearest
from workers.encode.transform import TrainedTransform, require_width

MAX_BITS = 8
_SEED = 20191113


class HashBits(TrainedTransform):
    """Cluster numbers and random-projection bytes, for an index of buckets.

    A row is num_idx cluster numbers, counted from 256 on so that no byte is mistaken for one,
    followed by num_bytes bytes of num_bits bits each, uint32.

    Args:
        num_bytes: bytes of bits a vector becomes; the input's dimension is a multiple of it.
        num_bits: bits used of each byte, 1..8.
        num_idx: how many clusterings tell which bucket a vector lies in.
        clusters: clusters of each clustering.
        method: project parts of the vector, all of it, or all of it on orthogonal directions.
    """

    aliases: ClassVar[tuple[str, ...]] = ("HashEncoder",)
    former_options: ClassVar[dict[str, str | None]] = {"kmeans_clusters": "clusters"}
    takes_dim: ClassVar[dict[str, str]] = {"multiple of": "num_bytes"}
    dtype = "uint32"
    metric = "buckets"

    def __init__(
        self,
        *,
        num_bytes: int,
        num_bits: int = 8,
        num_idx: int = 3,
        clusters: int = 100,
        method: Literal["product_uniform", "uniform", "ortho_uniform"] = "product_uniform",
    ) -> None:
        if num_bytes < 1 or num_idx < 0 or clusters < 1:
            raise ValueError("num_bytes and clusters must be at least 1, num_idx at least 0")
        if not 1 <= num_bits <= MAX_BITS:
            raise ValueError(f"num_bits must lie in 1..{MAX_BITS}, not {num_bits}")
        self.num_bytes, self.num_bits, self.num_idx = num_bytes, num_bits, num_idx
        self.clusters, self.method = clusters, method
        self.dim = num_idx + num_bytes
        self._learnt: dict[str, NDArray[np.float32]] = {}

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Learn mean and deviation, the clusters, and draw the projections."""
        count, width = rows.shape
        self.expect(
            width % self.num_bytes == 0, f"{width} dimensions cannot be cut into {self.num_bytes}"
        )
        self.expect(count >= self.clusters, f"{count} rows are fewer than {self.clusters} clusters")
        deviation = rows.std(axis=0)
        scale = np.where(deviation > 0, deviation, 1).astype(np.float32)
        mean = rows.mean(axis=0).astype(np.float32)
        scaled = (rows - mean) / scale
        centroids = [
            centroids_of(scaled, self.clusters, seed=_SEED + place) for place in range(self.num_idx)
        ]
        self._learnt = {
            "mean": mean,
            "scale": scale,
            "centroids": np.array(centroids, np.float32).reshape(
                self.num_idx, self.clusters, width
            ),
            "projections": self._projections(width),
        }
        self.is_trained = True

    def transform(self, rows: NDArray[np.generic]) -> NDArray[np.uint32]:
        """Return cluster numbers and bytes, uint32 (n, num_idx + num_bytes)."""
        mean, projections = self._learnt["mean"], self._learnt["projections"]
        require_width(rows, len(mean), self.title)
        scaled = (np.asarray(rows, np.float32) - mean) / self._learnt["scale"]
        clusters = [nearest(scaled, centroids) for centroids in self._learnt["centroids"]]
        buckets = [FIRST_BUCKET + numbers for numbers in clusters]
        bits = np.einsum("nd,bdk->nbk", scaled, projections, optimize=True) > 0
        values = bits @ (1 << np.arange(self.num_bits, dtype=np.uint32))
        return np.column_stack([*buckets, values]).astype(np.uint32)

    def _projections(self, width: int) -> NDArray[np.float32]:
        """Return directions for every byte, (num_bytes, width, num_bits)."""
        random = np.random.default_rng(_SEED)
        shape = (self.num_bytes, width, self.num_bits)
        directions = random.uniform(-1, 1, shape)
        if self.method == "ortho_uniform":
            directions = np.linalg.qr(directions)[0] if width >= self.num_bits else directions
        if self.method == "product_uniform":
            part = np.arange(width) // (width // self.num_bytes)
            directions *= (part[None, :] == np.arange(self.num_bytes)[:, None])[:, :, None]
        return directions.astype(np.float32)

    def state(self) -> State:
        """Return mean, scale, centroids and projections."""
        return dict(self._learnt)

    def load_state(self, state: State) -> None:
        """Take all of it over."""
        self._learnt = {name: np.asarray(array, np.float32) for name, array in state.items()}
        self.is_trained = True
