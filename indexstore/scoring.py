"""From vectors to scores of chunks, and from chunks to scores of documents, a column at a time."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from indexstore.codes import alike_share, equal_share, pairs_alike
from indexstore.errors import EngineError
from indexstore.model import IndexConfig, Metric
from indexstore.names import unknown
from indexstore.runs import Indices

Reduction = Literal["sum", "avg", "max", "min", "multiply"]

#: Numbers copied at a time in double precision, just below 128 kB: what is larger the allocator
#: takes from the system and gives back each time, and its pages cost ten times the arithmetic.
BLOCK_NUMBERS = 16_000

Floats = NDArray[Any]  # float32 for candidates, float64 for the scores that are shown


def relevance(metric: Metric, queries: Floats, rows: Floats) -> Floats:
    """Score every row for every query, (q, n); higher is better.

    ip and cosine: the inner product (rows are unit where the metric is cosine). l2: 1 / (1 + d)
    of the Euclidean distance d, so that 1 is the best and weights still mean something.
    hamming: the share of equal signs. bytes: of equal codes. bits: of equal bits of codes;
    buckets: the same, of rows that share a bucket.
    """
    if metric == "bytes":
        return equal_share(queries, rows)
    if metric in ("bits", "buckets"):
        return alike_share(queries, rows)
    if metric == "hamming":
        queries, rows = np.where(queries > 0, 1, -1), np.where(rows > 0, 1, -1)
        agreement = (queries @ rows.T).astype(np.float32) / np.float32(rows.shape[1])
        return np.asarray(0.5 + 0.5 * agreement)
    products: Floats = queries @ rows.T
    if metric == "l2":
        squares = np.square(queries).sum(axis=1)[:, None] + np.square(rows).sum(axis=1)
        return np.asarray(1.0 / (1.0 + np.sqrt(np.maximum(squares - 2.0 * products, 0.0))))
    return products


def pair_relevance(
    metric: Metric, queries: Floats, asked: Indices, rows: Floats, stored: Indices
) -> Floats:
    """Score row ``stored[i]`` for query ``asked[i]``, (p,), in double precision.

    A float32 rounded from it does not depend on what else is scored in the same call, so equal
    documents have equal scores in every shard, segment and delta: ties are ties everywhere.
    """
    scores = np.empty(len(asked), np.float64)
    step = max(1, BLOCK_NUMBERS // max(1, rows.shape[1]))
    for first in range(0, len(asked), step):
        block = slice(first, first + step)
        scores[block] = _PAIRED[metric](queries[asked[block]], rows[stored[block]])
    return scores


def _product(left: Floats, right: Floats) -> Floats:
    return np.asarray(np.vecdot(left.astype(np.float64), right.astype(np.float64)))


def _closeness(left: Floats, right: Floats) -> Floats:
    apart = left.astype(np.float64) - right
    return np.asarray(1.0 / (1.0 + np.sqrt(np.vecdot(apart, apart))))


#: How two rows are compared.
_PAIRED: Mapping[Metric, Callable[[Floats, Floats], Floats]] = {
    "ip": _product,
    "cosine": _product,
    "l2": _closeness,
    "hamming": lambda left, right: np.asarray(((left > 0) == (right > 0)).mean(axis=1)),
    "bytes": lambda left, right: np.asarray((left == right).mean(axis=1)),
    "bits": pairs_alike,
    "buckets": pairs_alike,
}


def is_linear(metric: Metric, reduction: Reduction) -> bool:
    """Tell whether a document's score is the inner product with one vector of its own.

    The default score, the weighted sum over all pairs of chunks, is bilinear where the relevance
    is an inner product: sum_ck w_c w_k <c, k> = <sum_c w_c c, sum_k w_k k>. One vector a document
    then gives exactly the same order as all of its chunks, for a fraction of the work.
    """
    return metric in ("ip", "cosine") and reduction in ("sum", "avg")


def default_reduction(config: IndexConfig) -> Reduction:
    """Return how an index makes one score of a document's chunks, unless a query says else.

    Raises:
        EngineError: the flow names a score that there is not.
    """
    score = config.options.get("score", "sum")
    if score not in REDUCTIONS:
        raise EngineError(config.engine, unknown("score", str(score), REDUCTIONS))
    reduction: Reduction = score
    return reduction


def finds_documents(config: IndexConfig) -> bool:
    """Tell whether an index's engine holds one vector a document instead of one a chunk."""
    return config.kind == "text" or is_linear(config.metric, default_reduction(config))


def _averages(values: Floats, starts: NDArray[np.int64]) -> Floats:
    counts = np.diff(np.append(starts, values.shape[-1]))
    return np.asarray(np.add.reduceat(values, starts, axis=-1) / counts)


_REDUCERS: Mapping[Reduction, Callable[[Floats, NDArray[np.int64]], Floats]] = {
    "sum": lambda values, starts: np.add.reduceat(values, starts, axis=-1),
    "avg": _averages,
    "max": lambda values, starts: np.maximum.reduceat(values, starts, axis=-1),
    "min": lambda values, starts: np.minimum.reduceat(values, starts, axis=-1),
    "multiply": lambda values, starts: np.multiply.reduceat(values, starts, axis=-1),
}
REDUCTIONS: tuple[Reduction, ...] = tuple(_REDUCERS)


def reduce_runs(values: Floats, starts: NDArray[np.int64], reduction: Reduction) -> Floats:
    """Reduce each run of the last axis, begun at ``starts`` and never empty, to one value."""
    if not len(starts):
        return values[..., :0]
    return _REDUCERS[reduction](values, starts)


def run_sums(rows: Floats, starts: NDArray[np.int64], weights: Floats) -> NDArray[np.float32]:
    """Add up weighted rows, run by run: the one vector of a document or of a query.

    In double precision, so that the same chunks give the same bits wherever they lie.
    """
    if not len(starts):
        return np.empty((0, rows.shape[1]), np.float32)
    weighted = rows.astype(np.float64) * np.asarray(weights, np.float64)[:, None]
    return np.asarray(np.add.reduceat(weighted, starts, axis=0)).astype(np.float32)


def best_columns(scores: Floats, limit: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the best ``limit`` columns of each row, best first: scores and columns."""
    width = min(limit, scores.shape[1])
    if width < scores.shape[1]:
        columns = (
            np.argpartition(scores, -width, axis=1)[:, -width:]
            if width
            else np.empty((len(scores), 0), np.int64)
        )
        best = np.take_along_axis(scores, columns, axis=1)
    else:
        columns, best = np.broadcast_to(np.arange(width), scores.shape), scores
    order = np.argsort(-best, axis=1, kind="stable")
    return (
        np.take_along_axis(best, order, axis=1).astype(np.float32, copy=False),
        np.take_along_axis(columns, order, axis=1),
    )
