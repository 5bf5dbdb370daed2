"""The contract of an engine: rows are built in once, then searched by any number of threads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.errors import DimensionError, EngineError
from indexstore.model import Metric
from indexstore.names import unknown
from indexstore.vectors import require_finite

Rows = NDArray[np.int64]
Scores = NDArray[np.float32]
Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class RowMask:
    """The rows that a search may return, in the forms that engines want."""

    rows: NDArray[np.bool_]
    count: int

    @classmethod
    def of(cls, rows: NDArray[np.bool_]) -> Self:
        """Count the rows of a boolean each."""
        return cls(rows, int(np.count_nonzero(rows)))

    @property
    def share(self) -> float:
        """The part of all rows that may come back."""
        return self.count / max(1, len(self.rows))

    @cached_property
    def packed(self) -> NDArray[np.uint8]:
        """One bit a row, lowest bit first, as faiss reads it."""
        return np.packbits(self.rows, bitorder="little")


class Engine(ABC):
    """Finds the rows of a segment nearest to a query; immutable once it is built.

    A subclass declares its options with their defaults in ``OPTIONS``; what a flow file gives
    beside them is refused with the nearest name. Higher scores are better, always: a backend
    that has distances turns them round at its own edge.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    METRICS: ClassVar[frozenset[Metric]] = frozenset({"ip", "cosine", "l2"})
    is_exact: ClassVar[bool] = False

    def __init__(self, *, dim: int, metric: Metric, options: Mapping[str, Any]) -> None:
        name = type(self).__name__
        if metric not in self.METRICS:
            raise EngineError(name, unknown("metric", metric, self.METRICS))
        for key in options:
            if key not in self.OPTIONS:
                raise EngineError(name, unknown("option", key, self.OPTIONS))
        self.dim, self.metric = dim, metric
        self.options = {**self.OPTIONS, **options}

    def check(self) -> None:  # noqa: B027  (a hook: most engines have made sure by now)
        """Raise EngineError where these options make no index; quick, a worker starts with it."""

    @property
    @abstractmethod
    def count(self) -> int:
        """How many rows were built in."""

    @property
    def vectors(self) -> Vectors | None:
        """The rows as they were built in, float32 (n, d), or None when the engine loses bits."""
        return None

    @abstractmethod
    def build(self, rows: Vectors, path: Path) -> None:
        """Write the rows' index to one file, fsynced by the caller; does not open it."""

    @abstractmethod
    def open(self, path: Path) -> None:
        """Make the file searchable, memory-mapped where the engine can."""

    @abstractmethod
    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        """Answer ``search``, whose arguments are checked by now."""

    def search(
        self,
        queries: Vectors,
        limit: int,
        allowed: RowMask | None = None,
        *,
        effort: int | None = None,
    ) -> tuple[Scores, Rows]:
        """Find the nearest rows of each query, best first.

        Args:
            queries: float32 (q, d), finite; unit rows where the metric is cosine.
            limit: hits a query, 1 or more.
            allowed: the rows that may come back; None allows all.
            effort: how wide an approximate engine looks (ef, nprobe); None is its own default.

        Returns:
            scores float32 (q, k) falling from left to right, rows int64 (q, k) with -1 where
            nothing more was found; k = min(limit, count).

        Raises:
            DimensionError: d is not the index's.
            InvalidVectorError: a query holds a NaN or an infinity.
        """
        if queries.ndim != 2 or queries.shape[1] != self.dim:  # noqa: PLR2004 - a matrix
            raise DimensionError(self.dim, queries.shape[-1])
        require_finite(queries)
        width = min(limit, self.count)
        if width < 1 or not len(queries) or (allowed is not None and not allowed.count):
            return nothing(len(queries), max(width, 0))
        return self._search(queries, width, allowed, effort=effort)

    def close(self) -> None:
        """Let go of the file; an engine that holds nothing open has nothing to do."""
        return


def nothing(queries: int, width: int) -> tuple[Scores, Rows]:
    """Answer every query with no hit at all."""
    return (
        np.full((queries, width), -np.inf, np.float32),
        np.full((queries, width), -1, np.int64),
    )
