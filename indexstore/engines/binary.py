"""Binary search: signs or bits by Hamming distance (faiss); or codes, one byte each."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors
from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.model import Metric
from indexstore.scoring import best_columns, relevance

_BLOCK_SCORES = 1 << 23  # scores held at a time: 32 MB


class BinaryEngine(Engine):
    """A thirty-second of the memory. The metric is Hamming's, or the one to refine with.

    With ip and cosine the signs only propose, as in every engine that loses bits: the shard
    scores the candidates again from the stored vectors. Codes of encoders such as PQ are bytes
    that are equal or not; how much they differ says nothing. Those of Binarizer are bits.
    """

    METRICS: ClassVar[frozenset[Metric]] = frozenset({"hamming", "bytes", "bits", "ip", "cosine"})
    OPTIONS: ClassVar[Mapping[str, Any]] = {}

    _index: Any

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return len(self._index) if self.metric == "bytes" else int(self._index.ntotal)

    @property
    def _bits(self) -> int:
        return self.dim * 8 if self.metric == "bits" else -(-self.dim // 8) * 8

    def build(self, rows: Vectors, path: Path) -> None:
        """Write the signs of the rows, or the rows as bytes."""
        if self.metric == "bytes":
            with path.open("wb") as file:
                np.save(file, rows.astype(np.uint8))
            return
        index = faiss.IndexBinaryFlat(self._bits)
        for start in range(0, len(rows), 50_000):
            index.add(self._packed(rows[start : start + 50_000]))
        faiss.write_index_binary(index, str(path))

    def open(self, path: Path) -> None:
        """Read the signs or bytes, which are small."""
        if self.metric == "bytes":
            self._index = np.load(path)
            return
        self._index = faiss.read_index_binary(str(path))

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        del effort  # every row is looked at
        if self.metric == "bytes":
            return self._search_bytes(queries, limit, allowed)
        use_thread_budget()
        params = None
        if allowed is not None:
            params = faiss.SearchParameters(sel=faiss.IDSelectorBitmap(allowed.packed))
        unlike, rows = self._index.search(self._packed(queries), limit, params=params)
        compared = self._bits if self.metric == "bits" else self.dim
        scores = (1.0 - unlike / compared).astype(np.float32)
        scores[rows < 0] = -np.inf
        return scores, rows

    def _packed(self, rows: Vectors) -> NDArray[np.uint8]:
        """Return the bits that are compared, eight to a byte."""
        return rows.astype(np.uint8) if self.metric == "bits" else np.packbits(rows > 0, axis=1)

    def _search_bytes(
        self, queries: Vectors, limit: int, allowed: RowMask | None
    ) -> tuple[Scores, Rows]:
        codes = queries.astype(np.uint8)
        step = max(1, _BLOCK_SCORES // self.count)
        found: list[tuple[Scores, Rows]] = []
        for start in range(0, len(codes), step):
            scores = relevance("bytes", codes[start : start + step], self._index)
            if allowed is not None:
                scores[:, ~allowed.rows] = -np.inf
            found.append(best_columns(scores, limit))
        scores = np.concatenate([block for block, _ in found])
        rows = np.concatenate([block for _, block in found])
        rows[scores == -np.inf] = -1
        return scores, rows
