"""HNSW by faiss: approximate search in a graph, memory-mapped, with bitmap filters."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors
from indexstore.engines.faiss_library import faiss, use_thread_budget

BUILD_BLOCK = 50_000  # rows added at a time, so that a mapped matrix is never copied whole
WIDENING = 0.45  # measured where filter and vectors are independent: recall stays that of no filter
FILTER_MARGIN = 1.5  # wider still, as what is forbidden may lie just where a query looks
#: faiss's header leaves the rows at an odd multiple of 2 bytes; numpy copies what is not aligned.
PADDING = b"\0\0"


class HnswEngine(Engine):
    """The default engine; keeps the rows as they are, so that its scores are exact ones."""

    # m: links a row; ef_construction and ef: rows kept in mind while building and searching.
    OPTIONS: ClassVar[Mapping[str, Any]] = {"m": 16, "ef_construction": 128, "ef": 128}

    _map: mmap.mmap
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
        with path.open("wb") as file:
            file.write(PADDING)
            faiss.write_index(index, faiss.PyCallbackIOWriter(file.write))

    def open(self, path: Path) -> None:
        """Map graph and rows: they cost page cache, which replicas on one machine share."""
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        written = np.frombuffer(self._map, np.uint8)[len(PADDING) :]
        reader = faiss.ZeroCopyIOReader(faiss.swig_ptr(written), len(written))
        # IO_FLAG_MMAP is silently ignored for HNSW; IO_FLAG_MMAP_IFC is the one that maps.
        self._index = faiss.read_index(reader, faiss.IO_FLAG_MMAP_IFC)
        storage = faiss.downcast_index(self._index.storage)
        shape = (self.count, self.dim)
        address = faiss.rev_swig_ptr(storage.get_xb(), self.count * self.dim).ctypes.data
        offset = address - written.ctypes.data + len(PADDING)
        rows = np.frombuffer(self._map, np.float32, self.count * self.dim, offset)
        self._vectors = rows.reshape(shape)

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        use_thread_budget()
        wide, selector = effort or self.options["ef"], None
        if allowed is not None:
            # Forbidden rows still take their place among those kept in mind: keep more of them.
            wide = int(wide * FILTER_MARGIN * allowed.share**-WIDENING)
            selector = faiss.IDSelectorBitmap(allowed.packed)
        params = faiss.SearchParametersHNSW(efSearch=max(wide, limit), sel=selector)
        scores, rows = self._index.search(np.ascontiguousarray(queries), limit, params=params)
        if self.metric == "l2":
            scores = 1.0 / (1.0 + np.sqrt(np.maximum(scores, 0.0)))
        if rows[:, -1].min() < 0:
            scores[rows < 0] = -np.inf
        return scores, rows

    def close(self) -> None:
        """Drop the map; views of its rows that are still in use keep it for themselves."""
        del self._vectors, self._index, self._map
