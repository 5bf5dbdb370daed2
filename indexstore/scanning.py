"""Scores of all documents of a part, or of all that may come, for a block of queries."""

import numpy as np

from indexstore.batch import Batch
from indexstore.kernel import CONTINUOUS, relevance_at
from indexstore.model import Float32, Metric
from indexstore.part import Part
from indexstore.runs import Indices
from indexstore.scoring import reduce_runs, relevance

BLOCK_SCORES = 1 << 23  # scores held at a time while scanning: 32 MB
SKIP_SHARE = 3  # below a third of the rows, passing over the others pays
FEW_QUERIES = 4  # up to so many compare rows where they lie; for more a copy of them pays
COPY_ROWS = 4096  # copied at a time: 6 MB of 384 numbers each


def block_size(part: Part, batch: Batch) -> int:
    """Return how many queries are scanned at a time."""
    rows = len(part.columns.positions)
    if part.finds_documents(batch.reduction):
        rows = part.count
    depth = max(1, len(batch.rows) // len(batch))
    return max(1, BLOCK_SCORES // (max(1, rows) * depth))


def scanned_scores(part: Part, batch: Batch, pending: Indices, chosen: Indices | None) -> Float32:
    """Score the chosen documents (None: all) for some queries, in single precision: (q, m)."""
    factors = part.factors(batch.reduction)
    if part.finds_documents(batch.reduction):
        scores = _table("ip", batch.joined[pending], part.units, chosen)
        if factors is not None:
            scores *= factors if chosen is None else factors[chosen]
        return scores
    documents = np.arange(part.count) if chosen is None else chosen
    chunks, begins = part.chunk_rows(documents)
    rows, row_begins = batch.rows_of(pending)
    among = None if chosen is None else chunks
    pairs = _table(batch.metric, batch.rows[rows], part.columns.vectors, among)
    pairs = pairs * part.columns.weights[chunks] * batch.weights[rows][:, None]
    by_query = reduce_runs(pairs.T, row_begins, batch.reduction).T
    reduced = reduce_runs(np.ascontiguousarray(by_query), begins, batch.reduction)
    return np.asarray(reduced * part.weights[documents], np.float32)


def _table(metric: Metric, queries: Float32, rows: Float32, chosen: Indices | None) -> Float32:
    """Score the chosen rows for every query."""
    if chosen is None:
        return relevance(metric, queries, rows)
    if len(chosen) * SKIP_SHARE > len(rows):
        return relevance(metric, queries, rows)[:, chosen]
    if len(queries) <= FEW_QUERIES and metric in CONTINUOUS:
        at = np.broadcast_to(chosen, (len(queries), len(chosen)))
        return relevance_at(metric, queries, rows, at)
    scores = np.empty((len(queries), len(chosen)), np.float32)
    for first in range(0, len(chosen), COPY_ROWS):
        block = slice(first, first + COPY_ROWS)
        scores[:, block] = relevance(metric, queries, rows[chosen[block]])
    return scores
