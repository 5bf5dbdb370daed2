"""Exact search: every row is looked at, in one matrix product."""

from pathlib import Path
from typing import ClassVar, get_args

import numpy as np

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors
from indexstore.model import Metric
from indexstore.scoring import best_columns, relevance

BLOCK_SCORES = 1 << 23  # scores held at a time: 32 MB


class ExactEngine(Engine):
    """Compares a query with every row; the file is a plain .npy, memory-mapped."""

    METRICS: ClassVar[frozenset[Metric]] = frozenset(get_args(Metric))
    is_exact: ClassVar[bool] = True

    _rows: Vectors

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return len(self._rows)

    @property
    def vectors(self) -> Vectors:
        """The rows as they were built in."""
        return self._rows

    def build(self, rows: Vectors, path: Path) -> None:
        """Write the rows as they are."""
        with path.open("wb") as file:
            np.save(file, rows)

    def open(self, path: Path) -> None:
        """Map the rows."""
        self._rows = np.load(path, mmap_mode="r").view(np.ndarray)

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        del effort  # there is no more to look at than everything
        chosen = None if allowed is None else np.flatnonzero(allowed.rows)
        rows = self._rows if chosen is None else self._rows[chosen]
        step = max(1, BLOCK_SCORES // len(rows))
        blocks = [
            best_columns(relevance(self.metric, queries[i : i + step], rows), limit)
            for i in range(0, len(queries), step)
        ]
        scores = np.concatenate([block[0] for block in blocks])
        found = np.concatenate([block[1] for block in blocks])
        if chosen is not None:
            found = chosen[found]
        missing = limit - found.shape[1]
        if missing > 0:
            scores = np.pad(scores, ((0, 0), (0, missing)), constant_values=-np.inf)
            found = np.pad(found, ((0, 0), (0, missing)), constant_values=-1)
        return scores, found
