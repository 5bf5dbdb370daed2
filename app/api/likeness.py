"""Queries by stored documents: their chunks' vectors, of this weight or that, are the query."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.house import House
from app.api.problems import Problem
from app.api.querying import options_of
from app.api.schemas.search import MAX_ROWS, RecommendBody
from app.dispatch import SearchQuery
from app.dispatch.inspections import Vectors
from indexstore.errors import DocumentNotFoundError

Rows = tuple[NDArray[np.float32], tuple[float, ...]]


async def recommended(body: RecommendBody, house: House) -> SearchQuery:
    """Return the query of a recommendation: both sides count the same, however many ids each has.

    Raises:
        DocumentNotFoundError: an id is not stored, or not indexed yet.
        Problem: 422 when the flow has no vector index.
    """
    options: dict[str, Any] = options_of(body, house)
    query = SearchQuery(mode="vector", exclude=(*body.positive, *body.negative), **options)
    found = await stored_vectors(query.exclude, query, house)
    rows, weights = joined(body.positive, found.vectors)
    if body.negative:
        away, away_weights = joined(body.negative, found.vectors)
        rows = np.concatenate((rows, away))
        weights += tuple(-weight for weight in away_weights)
    return replace(query, vector=rows, vector_weights=weights, using=found.index)


async def like(doc_id: str, query: SearchQuery, house: House) -> SearchQuery:
    """Return the query for what is like a stored document.

    Raises:
        DocumentNotFoundError: it is not stored, or not indexed yet.
    """
    found = await stored_vectors([doc_id], query, house)
    rows, weights = joined([doc_id], found.vectors)
    return replace(query, vector=rows, vector_weights=weights, exclude=(doc_id,), using=found.index)


@dataclass(frozen=True, slots=True)
class Stored:
    """The vectors of some documents, by id, and the index that holds them."""

    index: str
    vectors: Mapping[str, Vectors]


async def stored_vectors(doc_ids: Sequence[str], query: SearchQuery, house: House) -> Stored:
    """Return the vectors of stored documents in the first index that holds them all.

    Raises:
        DocumentNotFoundError: an id is not stored, or not indexed yet, or in another index than
            the others.
        Problem: 422 when the flow has no vector index.
    """
    dispatch, plan = house.dispatch, house.plan
    min_seq = await dispatch.min_seq(query.token, query.left_s)
    missing = doc_ids[0]
    places = [
        place
        for place in plan.asked("vector")
        if query.using in {None, plan.indexes[place].name, plan.indexes[place].vector}
    ]
    if not places:
        raise Problem("unprocessable", "the flow has no such vector index to compare documents by")
    for place in places:
        vectors = await dispatch.inspector.vectors_of(
            doc_ids, index=place, min_seq=min_seq, timeout_s=query.left_s
        )
        gone = [doc_id for doc_id in doc_ids if doc_id not in vectors]
        if not gone:
            return Stored(plan.indexes[place].name, vectors)
        missing = gone[0]
    raise DocumentNotFoundError(plan.collection, missing)


def joined(doc_ids: Sequence[str], vectors: Mapping[str, Vectors]) -> Rows:
    """Return the vectors of documents and weights that sum to 1; the heaviest if too many."""
    rows = np.concatenate([vectors[doc_id][0] for doc_id in doc_ids])
    weights = np.concatenate([vectors[doc_id][1] for doc_id in doc_ids])
    if len(rows) > MAX_ROWS:
        heaviest = np.sort(np.argsort(-weights, kind="stable")[:MAX_ROWS])
        rows, weights = rows[heaviest], weights[heaviest]
    total = float(weights.sum()) or 1.0
    return rows, tuple((weights / total).tolist())
