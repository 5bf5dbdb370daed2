"""The contract of an engine: rows are built in once, then searched by any number of threads."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class RowMask:
    """The rows that a search may return, in the two forms that engines want."""

    rows: NDArray[np.bool_]
    packed: NDArray[np.uint8]  # one bit a row, lowest bit first, as faiss reads it
    count: int

    @classmethod
    def of(cls, rows: NDArray[np.bool_]) -> Self:
        """Pack a boolean a row."""
        return cls(rows, np.packbits(rows, bitorder="little"), int(np.count_nonzero(rows)))


class Engine(ABC):
    """Finds the rows of a segment nearest to a query; immutable once it is built.

    A subclass declares its options with their defaults in ``OPTIONS``; what a flow file gives
    beside them is refused with the nearest name. Higher scores are better, always: a backend
    that has distances turns them round at its own edge.
    """

    OPTIONS: ClassVar[Mapping[str, Any]] = {}
    METRICS: ClassVar[frozenset[Metric]] = frozenset({"ip", "cosine", "l2"})
    is_exact: ClassVar[bool] = False
    #: Below this share of allowed rows a scan of them is faster and surer than the engine.
    SCAN_BELOW: ClassVar[float] = 0.06

    def __init__(self, *, dim: int, metric: Metric, options: Mapping[str, Any]) -> None:
        name = type(self).__name__
        if metric not in self.METRICS:
            raise EngineError(name, unknown("metric", metric, self.METRICS))
        for key in options:
            if key not in self.OPTIONS:
                raise EngineError(name, unknown("option", key, self.OPTIONS))
        self.dim, self.metric = dim, metric
        self.options = {**self.OPTIONS, **options}

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

    def worth_filtering(self, allowed: RowMask) -> bool:
        """Tell whether to search with so many rows forbidden, rather than scan the others."""
        return allowed.count >= self.SCAN_BELOW * self.count

    def close(self) -> None:
        """Let go of the file; an engine that holds nothing open has nothing to do."""
        return


def nothing(queries: int, width: int) -> tuple[Scores, Rows]:
    """Answer every query with no hit at all."""
    return (
        np.full((queries, width), -np.inf, np.float32),
        np.full((queries, width), -1, np.int64),
    )
