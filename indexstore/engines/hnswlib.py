"""HNSW by hnswlib, for those who have it: no memory map, and filters by a callback a candidate."""

import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors, nothing
from indexstore.errors import MissingPackageError

SPACES = {"ip": "ip", "cosine": "ip", "l2": "l2"}  # rows are unit already where it is cosine


class HnswlibEngine(Engine):
    """The same graph as the default engine's; kept to compare with, and for old habits."""

    OPTIONS: ClassVar[Mapping[str, Any]] = {"m": 16, "ef_construction": 128, "ef": 128}

    _index: Any

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return int(self._index.get_current_count())

    def _new(self) -> Any:
        try:
            library: Any = importlib.import_module("hnswlib")
        except ImportError as error:
            raise MissingPackageError("hnswlib", "engine 'hnswlib'") from error
        return library.Index(space=SPACES[self.metric], dim=self.dim)

    def build(self, rows: Vectors, path: Path) -> None:
        """Grow the graph on the threads of the budget."""
        index = self._new()
        index.init_index(
            max_elements=len(rows),
            M=self.options["m"],
            ef_construction=self.options["ef_construction"],
            random_seed=7,
        )
        budget = os.environ.get("OMP_NUM_THREADS", "")
        index.add_items(rows, num_threads=int(budget) if budget.isdigit() else -1)
        index.save_index(str(path))

    def open(self, path: Path) -> None:
        """Read graph and rows."""
        self._index = self._new()
        self._index.load_index(str(path))

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        self._index.set_ef(max(effort or self.options["ef"], limit))
        reachable = limit if allowed is None else min(limit, allowed.count)
        keep = None if allowed is None else allowed.rows.__getitem__
        try:
            rows, far = self._index.knn_query(queries, k=reachable, num_threads=1, filter=keep)
        except RuntimeError:
            # It found fewer than it was asked for, and then tells nothing at all.
            return nothing(len(queries), limit)
        scores = 1.0 - far if self.metric != "l2" else 1.0 / (1.0 + np.sqrt(np.maximum(far, 0.0)))
        missing = ((0, 0), (0, limit - reachable))
        return (
            np.pad(scores.astype(np.float32), missing, constant_values=-np.inf),
            np.pad(rows.astype(np.int64), missing, constant_values=-1),
        )
