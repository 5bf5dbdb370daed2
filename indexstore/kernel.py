"""Scores of pairs of rows where they lie, by faiss's kernels: no row is copied to be compared."""

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.model import Float32, Metric
from indexstore.runs import Indices

#: Metrics whose rows are compared number by number; the others compare signs or codes.
CONTINUOUS: frozenset[Metric] = frozenset({"ip", "cosine", "l2"})


def relevance_at(metric: Metric, queries: Float32, rows: Float32, at: Indices) -> Float32:
    """Score some rows for each query, in single precision; higher is better.

    Args:
        metric: one of ``CONTINUOUS``.
        queries: float32 (q, d), contiguous.
        rows: float32 (n, d), contiguous, mapped or not.
        at: int64 (q, w), the rows of each query; -1 stands for none.

    Returns:
        float32 (q, w), -inf where there is none.
    """
    use_thread_budget()
    scores = np.empty(at.shape, np.float32)
    if not scores.size:
        return scores
    at = np.ascontiguousarray(at)
    name = "fvec_L2sqr_by_idx" if metric == "l2" else "fvec_inner_products_by_idx"
    compare = getattr(faiss, name)
    pointers = _addresses(scores, queries, rows, at)
    compare(*pointers, rows.shape[1], *at.shape)
    if metric == "l2":
        scores = closeness(scores)
        scores[at < 0] = -np.inf
    return scores


def relevance_of(
    metric: Metric, queries: Float32, asked: Indices, rows: Float32, stored: Indices
) -> Float32:
    """Score row ``stored[i]`` for query ``asked[i]``, float32 (p,), as ``relevance_at`` does."""
    use_thread_budget()
    scores = np.empty(len(asked), np.float32)
    if not len(scores):
        return scores
    name = "pairwise_indexed_L2sqr" if metric == "l2" else "pairwise_indexed_inner_product"
    compare = getattr(faiss, name)
    pointers = _addresses(queries, asked, rows, stored, scores)
    compare(rows.shape[1], len(scores), *pointers)
    return closeness(scores) if metric == "l2" else scores


def closeness(squares: Float32) -> Float32:
    """Turn squared distances into scores: 1 / (1 + d), of which 1 is the best."""
    return np.asarray(1.0 / (1.0 + np.sqrt(np.maximum(squares, 0.0))), np.float32)


def _addresses(*arrays: NDArray[np.generic]) -> list[object]:
    """Return what faiss takes for pointers; it refuses what is not contiguous."""
    return [faiss.swig_ptr(array) for array in arrays]
