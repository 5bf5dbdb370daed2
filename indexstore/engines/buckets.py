"""Bits within buckets: only rows that share a cluster with the query are looked at."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from indexstore.codes import bucket_columns, differing_bits
from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors, nothing
from indexstore.model import Metric


class BucketsEngine(Engine):
    """GNES's hash index: the rows of the query's clusters, ordered by how many bits are equal.

    Rows are what HashBits gives: cluster numbers, then bytes. Rows without clusters are one bucket.
    """

    METRICS: ClassVar[frozenset[Metric]] = frozenset({"buckets"})
    OPTIONS: ClassVar[Mapping[str, Any]] = {}

    _bytes: NDArray[np.uint8]
    _lists: list[dict[int, NDArray[np.int64]]]

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return len(self._bytes)

    def build(self, rows: Vectors, path: Path) -> None:
        """Write the clusters, then the bytes."""
        width = bucket_columns(rows)
        with path.open("wb") as file:
            np.save(file, rows[:, :width].astype(np.int32))
            np.save(file, rows[:, width:].astype(np.uint8))

    def open(self, path: Path) -> None:
        """Read both, and list the rows of each cluster."""
        with path.open("rb") as file:
            clusters, self._bytes = np.load(file), np.load(file)
        self._lists = [_listed(column) for column in clusters.T]

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        del effort  # every row of the buckets is looked at
        scores, found = nothing(len(queries), limit)
        for place, query in enumerate(queries):
            rows = self._rows_of(query)
            if allowed is not None:
                rows = rows[allowed.rows[rows]]
            asked = query[len(self._lists) :].astype(np.uint8)
            alike = 1.0 - differing_bits(self._bytes[rows], asked) / (8.0 * len(asked))
            order = np.argsort(-alike, kind="stable")[:limit]
            scores[place, : len(order)] = alike[order]
            found[place, : len(order)] = rows[order]
        return scores, found

    def _rows_of(self, query: NDArray[np.float32]) -> NDArray[np.int64]:
        """Return the rows that share a bucket with a query, ascending."""
        if not self._lists:
            return np.arange(self.count)
        none = np.zeros(0, np.int64)
        pairs = zip(self._lists, query.tolist(), strict=False)
        return np.unique(np.concatenate([rows.get(int(number), none) for rows, number in pairs]))


def _listed(column: NDArray[np.int32]) -> dict[int, NDArray[np.int64]]:
    """Return the rows of each bucket number."""
    order = np.argsort(column, kind="stable")
    numbers, starts = np.unique(column[order], return_index=True)
    return dict(zip(numbers.tolist(), np.split(order, starts[1:]), strict=True))
