"""HNSW by faiss: approximate search in a graph, memory-mapped, with bitmap filters."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors
from indexstore.engines.threads import use_thread_budget

BUILD_BLOCK = 50_000  # rows added at a time, so that a mapped matrix is never copied whole


class HnswEngine(Engine):
    """The default engine; keeps the rows as they are, so that its scores are exact ones."""

    # m: links a row; ef_construction and ef: rows kept in mind while building and searching.
    OPTIONS: ClassVar[Mapping[str, Any]] = {"m": 16, "ef_construction": 128, "ef": 96}

    _index: Any
    _vectors: Vectors

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return int(self._index.ntotal)

    @property
    def vectors(self) -> Vectors:
        """The rows as they were built in, a view of the mapped file."""
        return self._vectors

    def build(self, rows: Vectors, path: Path) -> None:
        """Grow the graph on all threads of the budget."""
        use_thread_budget()
        kind = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWFlat(self.dim, self.options["m"], kind)
        index.hnsw.efConstruction = self.options["ef_construction"]
        for start in range(0, len(rows), BUILD_BLOCK):
            index.add(np.ascontiguousarray(rows[start : start + BUILD_BLOCK]))
        faiss.write_index(index, str(path))

    def open(self, path: Path) -> None:
        """Map graph and rows: they cost page cache, which replicas on one machine share."""
        # IO_FLAG_MMAP is silently ignored for HNSW; IO_FLAG_MMAP_IFC is the one that maps.
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        storage = faiss.downcast_index(self._index.storage)
        count = self.count
        self._vectors = (
            faiss.rev_swig_ptr(storage.get_xb(), count * self.dim).reshape(count, self.dim)
            if count
            else np.empty((0, self.dim), np.float32)
        )

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        use_thread_budget()
        params = faiss.SearchParametersHNSW(efSearch=max(effort or self.options["ef"], limit))
        if allowed is not None:
            selector = faiss.IDSelectorBitmap(allowed.packed)
            params.sel = selector
        scores, rows = self._index.search(np.ascontiguousarray(queries), limit, params=params)
        if self.metric == "l2":
            scores = 1.0 / (1.0 + np.sqrt(np.maximum(scores, 0.0)))
        return np.where(rows < 0, np.float32(-np.inf), scores), rows

    def close(self) -> None:
        """Drop the map; views taken from it keep the index alive no longer."""
        del self._vectors, self._index
