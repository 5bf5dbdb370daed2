"""Search: the hot path. One parse, one await, one dump."""

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.routing import Route

from app.api.body import read_json
from app.api.house import House, answer, house_of
from app.api.limits import check_page, check_timeout
from app.api.openapi import answers, takes
from app.api.problems import Problem, invalid
from app.api.schemas.search import Mode, SearchBody, SearchResult
from app.api.waiting import WhileConnected
from app.dispatch import SearchQuery
from compose.plan import Plan

router = APIRouter(prefix="/v1/collections/{collection}", tags=["search"])

EXAMPLE = {
    "query": {"text": "how do I join two paths"},
    "limit": 5,
    "highlight": True,
    "filter": {"must": [{"key": "module", "match": {"value": "os.path"}}]},
}


@router.post(
    "/search",
    summary="Find the documents nearest to a query",
    response_model=None,
    responses=answers(SearchResult, 400, 404, 413, 415, 422, 503, 504),
    openapi_extra=takes(SearchBody, example=EXAMPLE),
)
async def search(request: Request, collection: str) -> Response:
    """Return the ``limit`` best documents, best first, and how much of the collection answered.

    A shard that failed or was late costs its part of the answer: then ``coverage.degraded`` is
    true. With the ``token`` of a write, the search sees that write.
    """
    house_of(request).collection(collection)
    return await run(SearchBody.read(await read_json(request)), request)


async def _hot(request: Request) -> Response:
    """Serve a search without FastAPI's resolving of parameters, which costs as much again."""
    request.scope["route"] = HOT_ROUTE  # as FastAPI does, for the metrics
    return await search(request, request.path_params["collection"])


#: Matches before the route above, which is there to be described.
HOT_ROUTE = Route(f"{router.prefix}/search", _hot, methods=["POST"])


async def run(body: SearchBody, request: Request) -> Response:
    """Answer a checked search."""
    house = house_of(request)
    query = query_of(body, house)
    async with WhileConnected(request):
        found = await house.dispatch.search(query)
    request.app.state.metrics.searched(found)
    result = {
        "hits": orjson.Fragment(found.hits_json),  # rendered by the reduce worker already
        "coverage": found.coverage,
        "took_ms": found.took_ms,
    }
    if found.trace is not None:
        result["trace"] = found.trace
    return answer(result)


def query_of(body: SearchBody, house: House) -> SearchQuery:
    """Return the query that is dispatched, checked against limits and flow.

    Raises:
        Problem: 400 over a limit; 422 when the flow cannot answer this kind of query.
    """
    limits = house.limits
    check_page(body.limit, body.offset, limits)
    timeout_s = house.config.search_timeout_s
    if body.timeout_ms is not None:
        timeout_s = check_timeout(body.timeout_ms / 1000, limits, field="timeout_ms")
    if body.filter is not None and body.filter.depth() > limits.max_filter_depth:
        reason = f"groups nest deeper than the limit max_filter_depth ({limits.max_filter_depth})"
        raise invalid([{"field": "filter", "reason": reason}])
    if body.query.text is not None and len(body.query.text) > limits.max_query_chars:
        reason = (
            f"{len(body.query.text)} characters are over the limit max_query_chars "
            f"({limits.max_query_chars})"
        )
        raise invalid([{"field": "query.text", "reason": reason}])
    return SearchQuery(
        text=body.query.text,
        vector=body.query.vector,
        limit=body.limit,
        offset=body.offset,
        score_threshold=body.score_threshold,
        filter=body.filter.plain() if body.filter else None,
        exact=body.params.exact,
        ef=body.params.ef,
        group_size=body.group_size,
        with_content=body.with_content,
        with_vector=body.with_vector,
        highlight=body.highlight,
        explain=body.explain,
        trace=body.trace,
        timeout_s=timeout_s,
        token=body.token if body.consistency == "session" else None,
        mode=mode_of(body, house.plan),
    )


def mode_of(body: SearchBody, plan: Plan) -> Mode:
    """Return which indexes are asked.

    Raises:
        Problem: 422 when the flow has no index, or no step, for this query.
    """
    kinds = {index.kind for index in plan.indexes}
    if body.query.vector is not None:
        check_vector(body, plan)
        return "vector"
    if body.query.text is None:
        detail = (
            f"query.{body.query.kind}: the flow of {plan.collection!r} answers queries by text "
            "and vector"
        )
        raise Problem("unprocessable", detail)
    usual: Mode = "hybrid" if len(kinds) > 1 else next(iter(kinds), "vector")
    mode = body.mode or usual
    missing = (kinds ^ {"vector", "text"}) if mode == "hybrid" else {mode} - kinds
    if missing:
        has = " and ".join(sorted(kinds)) or "no"
        detail = f"mode {mode!r} needs an index that the flow lacks; it has {has} indexes"
        raise Problem("unprocessable", detail)
    return mode


def check_vector(body: SearchBody, plan: Plan) -> None:
    """Refuse a query vector that no index of the flow can compare.

    Raises:
        Problem: 422 that names the dimension, or that there is no vector index.
    """
    dims = {index.dim for index in plan.indexes if index.kind == "vector"}
    if not dims:
        raise Problem("unprocessable", "query.vector: the flow has no vector index")
    if body.mode not in {None, "vector"}:
        raise Problem("unprocessable", f"mode {body.mode!r} needs query.text, not query.vector")
    given = 0 if body.query.vector is None else len(body.query.vector)
    if None not in dims and given not in dims:
        wanted = " or ".join(str(dim) for dim in sorted(dim for dim in dims if dim))
        detail = f"query.vector has {given} numbers; this collection holds vectors of {wanted}"
        raise Problem("dimension", detail)
