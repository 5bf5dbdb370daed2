"""Binary search: one bit a dimension, the sign, compared by Hamming distance (faiss)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors
from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.model import Metric


class BinaryEngine(Engine):
    """A thirty-second of the memory. The metric is Hamming's, or the one to refine with.

    With ip and cosine the signs only propose, as in every engine that loses bits: the shard
    scores the candidates again from the stored vectors.
    """

    METRICS: ClassVar[frozenset[Metric]] = frozenset({"hamming", "ip", "cosine"})
    OPTIONS: ClassVar[Mapping[str, Any]] = {}

    _index: Any

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return int(self._index.ntotal)

    @property
    def _bits(self) -> int:
        return -(-self.dim // 8) * 8

    def build(self, rows: Vectors, path: Path) -> None:
        """Write the signs of the rows."""
        index = faiss.IndexBinaryFlat(self._bits)
        for start in range(0, len(rows), 50_000):
            index.add(_signs(rows[start : start + 50_000]))
        faiss.write_index_binary(index, str(path))

    def open(self, path: Path) -> None:
        """Read the signs, which are small."""
        self._index = faiss.read_index_binary(str(path))

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        del effort  # every row is looked at
        use_thread_budget()
        params = None
        if allowed is not None:
            params = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(allowed.packed))
        unlike, rows = self._index.search(_signs(queries), limit, params=params)
        scores = (1.0 - unlike / self.dim).astype(np.float32)
        scores[rows < 0] = -np.inf
        return scores, rows


def _signs(rows: Vectors) -> NDArray[np.uint8]:
    return np.packbits(rows > 0, axis=1)
