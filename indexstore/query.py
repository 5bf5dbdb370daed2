"""What a shard is asked and what it answers: columns over a batch of queries, no objects a hit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.model import Float32, Int32
from indexstore.scoring import Reduction

NO_TEXTS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ShardQuery:
    """A batch of queries with equal parameters; each has one or more rows (its chunks)."""

    embeddings: Float32  # (n, d)
    owners: Int32  # (n,) the query that each row belongs to
    weights: Float32  # (n,); a negative weight asks for what is unlike the row
    queries: int
    limit: int  # offset included
    places: Float32 | None = None  # (n, 4), the box of each row where the queries are pictures
    texts: tuple[str, ...] = NO_TEXTS  # one a query, for a full-text index
    min_seq: int = 0  # the log must have been read this far
    deadline: float | None = None  # seconds since the epoch
    filter: Mapping[str, Any] | None = None
    score_threshold: float | None = None
    exact: bool = False  # look at everything instead of trusting an approximate engine
    ef: int | None = None  # how wide an approximate engine looks
    group_size: int = 1  # chunks shown a document
    score: Reduction | None = None  # None: what the index was built for
    min_should: int | None = None  # words of a text query that must match
    highlight: bool = False
    exclude: tuple[str, ...] = ()  # documents never to return, such as those asked by id
    pairs: bool = False  # every pair of chunks as well, for whoever scores in another way
    spare: int = 4  # hits beyond limit, in place of those that die on the way to the answer

    @classmethod
    def of(cls, rows: Float32, *, limit: int, **options: Any) -> Self:
        """Ask one query a row, each of weight 1."""
        n = len(rows)
        owners, weights = np.arange(n, dtype=np.int32), np.ones(n, np.float32)
        return cls(rows, owners, weights, n, limit, **options)


@dataclass(frozen=True, slots=True, eq=False)
class ShardHits:
    """The best documents of every query, best first; equal scores by ascending id."""

    counts: Int32  # (q,) hits of each query; the columns below hold them one after the other
    doc_ids: list[str]
    versions: NDArray[np.int64]
    scores: Float32
    chunk_counts: Int32  # (hits,) chunks shown of each; their columns lie one after the other
    chunk_positions: Int32
    chunk_scores: Float32
    chunk_spans: NDArray[np.float64]  # (chunks, 2), or 4 with boxes
    applied_seq: int = 0  # how far the log had been read
    highlights: list[str] | None = field(default=None)  # HTML, one a hit, for a full-text index
    pairs: Any = None  # indexstore.pairs.Pairs, when they were asked for

    @classmethod
    def none(cls, queries: int, *, applied_seq: int = 0) -> Self:
        """Answer every query with no hit."""
        return cls(
            np.zeros(queries, np.int32),
            [],
            np.empty(0, np.int64),
            np.empty(0, np.float32),
            np.empty(0, np.int32),
            np.empty(0, np.int32),
            np.empty(0, np.float32),
            np.empty((0, 2), np.float64),
            applied_seq,
        )
