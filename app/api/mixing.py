"""Queries of several parts: each is encoded by itself, then they are one vector in every space.

In a space that parts share, such as CLIP's, the query is their weighted sum. Where they have spaces
of their own, each space has its ranking, and the rankings are fused by the same weights.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.api.house import House
from app.api.problems import Problem
from app.api.schemas.search import Query
from app.dispatch import SearchQuery
from compose.plan import Plan

Row = NDArray[np.float32]

_TINY = 1e-6


@dataclass(frozen=True, slots=True)
class _Part:
    """One part of a query: how much it counts, and its unit row by vector."""

    kind: str
    share: float
    rows: Mapping[str, Row]


async def mixed(
    asked: Query, contents: Mapping[str, str | bytes], query: SearchQuery, house: House
) -> SearchQuery:
    """Return the query with the vectors that its parts make together.

    Args:
        asked: the parts and their weights.
        contents: of each kind its text, its bytes, or the name of its blob.
        query: everything else that is asked.
        house: whose encoders are used.

    Raises:
        StageError: 422 when a part cannot be encoded.
        Problem: 422 when the parts cannot be mixed.
    """
    encoded = await asyncio.gather(
        *(
            house.dispatch.embed_content(kind, content, timeout_s=query.left_s)
            for kind, content in contents.items()
        )
    )
    parts = [
        _Part(kind, asked.share(kind), {name: _row(rows, reply.weights, kind) for name, rows in
                                        reply.embeddings.items()})
        for kind, reply in zip(contents, encoded, strict=True)
    ]  # fmt: skip
    rows = {name: _sum(name, parts) for name in {name for part in parts for name in part.rows}}
    spans = tuple(
        (f"{stage} {kind}", waited, worked)
        for kind, reply in zip(contents, encoded, strict=True)
        for stage, waited, worked in reply.spans
    )
    return replace(query, rows=rows, weights=_weights(house.plan, parts), spans=spans)


def _row(rows: NDArray[Any], weights: NDArray[np.float32] | None, kind: str) -> Row:
    """Return the one direction that the chunks of a part have together."""
    if rows.dtype != np.float32:
        detail = f"query.{kind}: this flow makes codes, which cannot be mixed; ask by one kind"
        raise Problem("unprocessable", detail)
    heavy = rows if weights is None else rows * np.asarray(weights)[:, None]
    return _unit(heavy.sum(axis=0), f"query.{kind} has no direction")


def _sum(name: str, parts: list[_Part]) -> Row:
    """Return the weighted sum of the parts that have a row of this vector."""
    total = sum(part.share * part.rows[name] for part in parts if name in part.rows)
    return _unit(np.asarray(total), "the parts of the query cancel each other out; change weights")


def _unit(row: NDArray[Any], problem: str) -> Row:
    length = float(np.linalg.norm(row))
    if length < _TINY:
        raise Problem("unprocessable", problem)
    return np.asarray(row / length, np.float32)


def _weights(plan: Plan, parts: list[_Part]) -> dict[str, float]:
    """Return how much each index counts: as much as the parts that ask it, 1 in all."""
    raw: dict[str, float] = {}
    for index in plan.indexes:
        asking = [
            abs(part.share)
            for part in parts
            if (part.kind == "text" if index.kind == "text" else index.vector in part.rows)
        ]
        raw[index.name] = sum(asking)
    total = sum(raw.values()) or 1.0
    return {name: share / total for name, share in raw.items()}
