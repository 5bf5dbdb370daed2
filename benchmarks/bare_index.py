"""The index alone: faiss's HNSW in this process, without a server or a queue."""

from __future__ import annotations

import importlib
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.vectors import Vectors

#: The stubs that come with faiss lack much of what it exports.
faiss: Any = importlib.import_module("faiss")

BATCH = 256


class BareIndex:
    """One graph over all rows, with the parameters of the served one."""

    def __init__(self, rows: Vectors, *, m: int, ef_construction: int) -> None:
        self._index: Any = faiss.IndexHNSWFlat(rows.shape[1], m, faiss.METRIC_INNER_PRODUCT)
        self._index.hnsw.efConstruction = ef_construction
        self._index.add(rows)

    def search(self, queries: Vectors, limit: int, ef: int) -> NDArray[np.int64]:
        """Return the rows found for each query."""
        params = faiss.SearchParametersHNSW(efSearch=ef)
        found: NDArray[np.int64] = self._index.search(queries, limit, params=params)[1]
        return found

    def latency_ms(self, queries: Vectors, limit: int, ef: int, seconds: float) -> float:
        """Return the median time of a single query."""
        times: list[float] = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            query = queries[len(times) % len(queries)][None]
            started = time.perf_counter()
            self.search(query, limit, ef)
            times.append(time.perf_counter() - started)
        return 1e3 * float(np.median(times))

    def throughput(self, queries: Vectors, limit: int, ef: int, seconds: float) -> float:
        """Return queries a second in batches, on all cores."""
        done, started = 0, time.perf_counter()
        while time.perf_counter() < started + seconds:
            first = done % (len(queries) - BATCH)
            self.search(queries[first : first + BATCH], limit, ef)
            done += BATCH
        return done / (time.perf_counter() - started)
