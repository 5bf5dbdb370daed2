"""From a search's body to the query that is dispatched: checked against limits and flow."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from anyio import to_thread

from app.api.comparing import fault_of
from app.api.house import House
from app.api.limits import check_page, check_timeout
from app.api.media import MediaRefusedError, checked_url, content_of
from app.api.problems import Problem, invalid
from app.api.schemas.filters import CheckedFilter
from app.api.schemas.search import Media, Mode, Query, SearchBody, SearchOptions
from app.dispatch import SearchQuery
from app.settings import Limits
from compose.plan import ANY_MODALITY, Plan
from compose.planning import modalities_of
from compose.wire import names


def query_of(body: SearchBody, house: House) -> SearchQuery:
    """Return the query that is dispatched.

    Raises:
        Problem: 400 over a limit; 422 when the flow cannot answer this kind of query.
    """
    _check_text(body.query.text, house.limits)
    rows = body.query.rows
    return SearchQuery(
        text=body.query.text,
        modality=body.query.kind if body.query.medium is not None else "text",
        vector=np.stack(rows) if len(rows) > 1 else rows[0] if rows else None,
        vector_weights=body.query.row_weights,
        mode=mode_of(body, house.plan),
        **options_of(body, house),
    )


async def contents_of(asked: Query, query: SearchQuery, house: House) -> Sequence[bytes | str]:
    """Return the media of a query, in order: bytes, or the name of the blob that holds them.

    Raises:
        Problem: 400 when one is not there, or of another modality.
        StageError: 422 when an address cannot be fetched.
    """
    found = (_content(kind, medium, query, house) for kind, medium in asked.media.items())
    return await asyncio.gather(*found)


async def _content(kind: str, medium: Media, query: SearchQuery, house: House) -> bytes | str:
    try:
        if medium.url is None:
            return await to_thread.run_sync(content_of, medium, kind, house.media)
        wanted = {"url": checked_url(medium.url), "modality": kind}
    except MediaRefusedError as error:
        field = f"query.{kind}.{error.field}"
        raise invalid([{"field": field, "reason": error.reason}]) from None
    (blob,) = await house.dispatch.media_task(
        names.FETCH_MEDIUM, names.FETCH_QUEUE, wanted, timeout_s=query.left_s
    )
    return str(blob)


def options_of(body: SearchOptions, house: House) -> dict[str, Any]:
    """Return what a query has beside the question itself.

    Raises:
        Problem: 400 over a limit.
    """
    check_page(body.limit, body.offset, house.limits)
    timeout_s = house.config.search_timeout_s
    if body.timeout_ms is not None:
        timeout_s = check_timeout(body.timeout_ms / 1000, house.limits, field="timeout_ms")
    return {
        "limit": body.limit,
        "offset": body.offset,
        "score_threshold": body.score_threshold,
        "using": body.using,
        "filter": plain_filter(body.filter, house.limits),
        "exact": body.params.exact,
        "ef": body.params.ef,
        "group_size": body.group_size,
        "with_content": body.with_content,
        "with_vector": body.with_vector,
        "highlight": body.highlight,
        "explain": body.explain,
        "trace": body.trace,
        "timeout_s": timeout_s,
        "deadline": time.time() + timeout_s,
        "token": body.token if body.consistency == "session" else None,
    }


def plain_filter(condition: CheckedFilter | None, limits: Limits) -> Mapping[str, Any] | None:
    """Return a filter as the shards read it.

    Raises:
        Problem: 400 when its groups nest too deep.
    """
    if condition is None:
        return None
    if condition.depth > limits.max_filter_depth:
        reason = f"groups nest deeper than the limit max_filter_depth ({limits.max_filter_depth})"
        raise invalid([{"field": "filter", "reason": reason}])
    return condition.plain


def mode_of(body: SearchBody, plan: Plan) -> Mode:
    """Return which indexes are asked.

    Raises:
        Problem: 422 when the flow has no index, or no step, for this query.
    """
    if body.query.rows or body.query.id is not None:
        _check_vectors(body, plan)
        return "vector"
    if body.query.medium is not None:
        _check_media(body, plan)
        if not (body.query.is_mixed and body.mode == "hybrid"):
            return "vector"
    kinds = {index.kind for index in plan.indexes}
    usual: Mode = "hybrid" if len(kinds) > 1 else next(iter(kinds), "vector")
    mode = body.mode or usual
    if not (kinds >= {"vector", "text"} if mode == "hybrid" else mode in kinds):
        has = " and ".join(sorted(kinds)) or "no"
        detail = f"mode {mode!r} needs an index that the flow lacks; it has {has} indexes"
        raise Problem("unprocessable", detail)
    return mode


def _check_media(body: SearchBody, plan: Plan) -> None:
    """Refuse a query by media that the flow has no steps for.

    Raises:
        Problem: 422 that says what the flow answers.
    """
    usual = {None, "vector", "hybrid"} if body.query.text is not None else {None, "vector"}
    if body.mode not in usual:
        detail = f"mode {body.mode!r} needs query.text alone, not query.{body.query.kinds[-1]}"
        raise Problem("unprocessable", detail)
    taken = modalities_of(plan)
    for kind in body.query.kinds:
        if not plan.takes_media or kind not in taken:
            kinds = ", ".join((*taken, "vector")).replace(ANY_MODALITY, "text")
            detail = (
                f"query.{kind}: the flow of {plan.collection!r} answers queries by {kinds} and id"
            )
            raise Problem("unprocessable", detail)


def _check_text(text: str | None, limits: Limits) -> None:
    """Refuse a query text that is too long."""
    if text is not None and len(text) > limits.max_query_chars:
        reason = (
            f"{len(text)} characters are over the limit max_query_chars ({limits.max_query_chars})"
        )
        raise invalid([{"field": "query.text", "reason": reason}])


def _check_vectors(body: SearchBody, plan: Plan) -> None:
    """Refuse query vectors that no index of the flow can compare.

    Raises:
        Problem: 422 that says what is wrong with them, or that there is no vector index.
    """
    indexes = [index for index in plan.indexes if index.kind == "vector"]
    if not indexes:
        detail = f"query.{body.query.kind}: the flow has no vector index"
        raise Problem("unprocessable", detail)
    if body.mode not in {None, "vector"}:
        detail = f"mode {body.mode!r} needs query.text, not query.{body.query.kind}"
        raise Problem("unprocessable", detail)
    if len({len(row) for row in body.query.rows}) > 1:
        raise Problem("dimension", "the vectors of one query have different lengths")
    fault = next(filter(None, (fault_of(row, indexes) for row in body.query.rows)), None)
    if fault is not None:
        raise Problem(fault[0], f"query.{body.query.kind}: {fault[1]}")
