"""Vectors as encoders make them: clustered, of unit length, with queries from the same clusters.

Not independent noise: in 384 dimensions that has no near neighbours at all, and an index's recall
on it says nothing. Here every row is a cluster's centre plus noise of its own, and the clusters
are of unequal size and lie in a subspace, as topics do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]

DIM = 384
CLUSTERS = 300
TOPIC_DIMS = 64  # the subspace that centres lie in
NOISE = 1.0  # length of a row's own part beside its centre's 1


def clustered(count: int, *, seed: int, dim: int = DIM) -> Vectors:
    """Return unit rows of a Gaussian mixture; the mixture is the same for every seed."""
    fixed = np.random.default_rng(20_261_123)
    basis = fixed.standard_normal((TOPIC_DIMS, dim))
    centres = _unit(fixed.standard_normal((CLUSTERS, TOPIC_DIMS)) @ basis)
    sizes = fixed.pareto(1.5, CLUSTERS) + 0.2
    own = np.random.default_rng(seed)
    of = own.choice(CLUSTERS, count, p=sizes / sizes.sum())
    spread = own.standard_normal((count, dim)) * (NOISE / np.sqrt(dim))
    return _unit(centres[of] + spread).astype(np.float32)


def exact_neighbours(rows: Vectors, queries: Vectors, limit: int) -> NDArray[np.int64]:
    """Return the row numbers of the ``limit`` nearest rows of each query."""
    found = [
        np.argsort(-(rows @ queries[i : i + 64].T), axis=0)[:limit].T
        for i in range(0, len(queries), 64)
    ]
    return np.concatenate(found)


def recall_at(limit: int, found: list[list[int]], exact: NDArray[np.int64]) -> float:
    """Return the share of the exact neighbours that was found."""
    hits = [
        len(set(mine[:limit]) & set(true[:limit].tolist()))
        for mine, true in zip(found, exact, strict=True)
    ]
    return sum(hits) / (limit * len(hits))


def _unit(rows: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
