"""A shard query made ready: rows checked, in the order of their queries, and joined if linear."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from indexstore.errors import InvalidVectorError
from indexstore.model import Float32, Metric
from indexstore.query import ShardQuery
from indexstore.runs import Indices, rows_of, starts_of
from indexstore.scoring import Reduction, run_sums
from indexstore.vectors import checked_rows


@dataclass(frozen=True, eq=False)
class Batch:
    """The queries that have rows, numbered 0 to q-1; ``numbers`` gives their old numbers."""

    metric: Metric
    reduction: Reduction
    rows: Float32  # (n, d) in the order of the queries
    weights: Float32  # (n,)
    starts: Indices  # (q + 1,)
    numbers: Indices  # (q,)
    places: Float32 | None = None  # (n, 4), beside the rows

    @classmethod
    def of(cls, query: ShardQuery, *, metric: Metric, dim: int, reduction: Reduction) -> "Batch":
        """Check a query's rows and group them.

        Raises:
            DimensionError: the rows are not as wide as the index's.
            InvalidVectorError: a row or weight is not finite.
        """
        rows = checked_rows(query.embeddings.reshape(-1, query.embeddings.shape[-1]), dim=dim,
                            metric=metric)  # fmt: skip
        weights = np.asarray(query.weights, np.float32)
        if not np.isfinite(weights).all():
            raise InvalidVectorError("a query's weight is not finite")
        owners = query.owners
        if len(owners) == query.queries and (owners == np.arange(query.queries)).all():
            starts = np.arange(query.queries + 1)
            return cls(metric, reduction, rows, weights, starts, starts[:-1], query.places)
        order = np.argsort(owners, kind="stable")
        counts = np.bincount(owners, minlength=query.queries)
        numbers = np.flatnonzero(counts)
        starts = starts_of(counts[numbers])
        places = None if query.places is None else query.places[order]
        return cls(metric, reduction, rows[order], weights[order], starts, numbers, places)

    @classmethod
    def of_texts(cls, query: ShardQuery) -> "Batch":
        """Number the texts of a full-text query; they have no rows of vectors.

        Raises:
            InvalidVectorError: there is not one text a query.
        """
        if len(query.texts) != query.queries:
            reason = f"a full-text index wants {query.queries} texts, not {len(query.texts)}"
            raise InvalidVectorError(reason)
        starts = np.zeros(query.queries + 1, np.int64)
        nothing = np.empty((0, 0), np.float32)
        weights = np.empty(0, np.float32)
        return cls("ip", "sum", nothing, weights, starts, np.arange(query.queries))

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def is_simple(self) -> bool:
        """Tell whether every query has one row only."""
        return len(self.rows) == len(self)

    @cached_property
    def joined(self) -> Float32:
        """The one row of each query that stands for all of its own: (q, d)."""
        if self.is_simple and (self.weights == 1.0).all():
            return self.rows
        sums = run_sums(self.rows, self.starts[:-1], self.weights)
        if self.reduction == "avg":
            sums /= np.diff(self.starts)[:, None].astype(np.float32)
        return sums

    def rows_of(self, queries: Indices) -> tuple[Indices, Indices]:
        """Return the rows of some queries one after the other, and where each query's begin."""
        if self.is_simple:
            return queries, np.arange(len(queries))
        return rows_of(self.starts, queries)
