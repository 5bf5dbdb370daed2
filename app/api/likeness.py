"""Queries by stored documents: their chunks' vectors, of this weight or that, are the query."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.house import House
from app.api.problems import Problem
from app.api.querying import options_of
from app.api.schemas.search import MAX_ROWS, RecommendBody
from app.dispatch import SearchQuery
from indexstore.errors import DocumentNotFoundError

Rows = tuple[NDArray[np.float32], tuple[float, ...]]


async def recommended(body: RecommendBody, house: House) -> SearchQuery:
    """Return the query of a recommendation: both sides count the same, however many ids each has.

    Raises:
        DocumentNotFoundError: an id is not stored, or not indexed yet.
        Problem: 422 when the flow has no vector index.
    """
    if not any(index.kind == "vector" for index in house.plan.indexes):
        raise Problem("unprocessable", "the flow has no vector index to compare documents by")
    options: dict[str, Any] = options_of(body, house)
    query = SearchQuery(mode="vector", exclude=(*body.positive, *body.negative), **options)
    rows, weights = await like(body.positive, query, house)
    if body.negative:
        away, away_weights = await like(body.negative, query, house)
        rows = np.concatenate((rows, away))
        weights += tuple(-weight for weight in away_weights)
    return SearchQuery(
        vector=rows, vector_weights=weights, mode="vector", exclude=query.exclude, **options
    )


async def like(doc_ids: Sequence[str], query: SearchQuery, house: House) -> Rows:
    """Return the vectors of stored documents and weights that sum to 1; the heaviest if too many.

    Raises:
        DocumentNotFoundError: an id is not stored, or not indexed yet.
    """
    dispatch = house.dispatch
    min_seq = await dispatch.min_seq(query.token, query.timeout_s)
    stored = await dispatch.inspector.vectors_of(
        doc_ids, min_seq=min_seq, timeout_s=query.timeout_s
    )
    missing = next((doc_id for doc_id in doc_ids if doc_id not in stored), None)
    if missing is not None:
        raise DocumentNotFoundError(house.plan.collection, missing)
    rows = np.concatenate([stored[doc_id][0] for doc_id in doc_ids])
    weights = np.concatenate([stored[doc_id][1] for doc_id in doc_ids])
    if len(rows) > MAX_ROWS:
        heaviest = np.sort(np.argsort(-weights, kind="stable")[:MAX_ROWS])
        rows, weights = rows[heaviest], weights[heaviest]
    total = float(weights.sum()) or 1.0
    return rows, tuple((weights / total).tolist())
