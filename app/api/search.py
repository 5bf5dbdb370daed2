"""Search: the hot path. One parse, one await, one dump."""

import asyncio
import time
from dataclasses import replace
from typing import Any

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import read_json
from app.api.house import House, answer, house_of
from app.api.likeness import like, recommended
from app.api.mixing import mixed
from app.api.openapi import answers, takes
from app.api.problems import Problem, of_dispatch, of_store
from app.api.querying import contents_of, query_of
from app.api.schemas.search import (
    BatchBody,
    BatchResult,
    RecommendBody,
    SearchBody,
    SearchResult,
)
from app.api.waiting import WhileConnected
from app.dispatch import SearchAnswer, SearchQuery
from app.dispatch.errors import DispatchError
from indexstore.errors import IndexStoreError

router = APIRouter(prefix="/v1/collections/{collection}", tags=["search"])

EXAMPLE = {
    "query": {"text": "how do I join two paths"},
    "limit": 5,
    "highlight": True,
    "filter": {"must": [{"key": "module", "match": {"value": "os.path"}}]},
}
_PROBLEMS = (400, 404, 413, 415, 422, 500, 503, 504)


@router.post(
    "/search",
    summary="Find the documents nearest to a query",
    response_model=None,
    responses=answers(SearchResult, *_PROBLEMS),
    openapi_extra=takes(SearchBody, example=EXAMPLE),
)
async def search(request: Request, collection: str) -> Response:
    """Return the ``limit`` best documents, best first, and how much of the collection answered.

    A shard that failed or was late costs its part of the answer: then ``coverage.degraded`` is
    true. With the ``token`` of a write, the search sees that write.
    """
    house_of(request).collection(collection)
    return await run(SearchBody.read(await read_json(request)), request)


@router.post(
    "/search/batch",
    summary="Search several times at once",
    response_model=None,
    responses=answers(BatchResult, *_PROBLEMS),
    openapi_extra=takes(BatchBody, example={"searches": [EXAMPLE]}),
)
async def batch(request: Request, collection: str) -> Response:
    """Return one result a search, in order; one that failed is a problem document in its place."""
    house = house_of(request)
    house.collection(collection)
    searches = BatchBody.read(await read_json(request)).searches
    async with WhileConnected(request):
        results = await asyncio.gather(*(_one(request, body) for body in searches))
    return answer({"results": results})


@router.post(
    "/recommend",
    summary="Find documents like some and unlike others",
    response_model=None,
    responses=answers(SearchResult, *_PROBLEMS),
    openapi_extra=takes(RecommendBody, example={"positive": ["os.path.join"], "limit": 5}),
)
async def recommend(request: Request, collection: str) -> Response:
    """Return documents near the positive ids and far from the negative ones, without them."""
    house = house_of(request)
    house.collection(collection)
    body = RecommendBody.read(await read_json(request))
    async with WhileConnected(request):
        query = await recommended(body, house)
        return answer(await found(request, query))


async def run(body: SearchBody, request: Request) -> Response:
    """Answer a checked search."""
    house = house_of(request)
    query = query_of(body, house)
    async with WhileConnected(request):
        return answer(await _asked(request, body, query))


async def _asked(request: Request, body: SearchBody, query: SearchQuery) -> dict[str, Any]:
    """Return the answer to a search; the time it took is that of all its parts."""
    started = time.perf_counter()
    complete = await _complete(body, query, house_of(request))
    before_ms = 1e3 * (time.perf_counter() - started)
    result = await found(request, complete)
    return {**result, "took_ms": round(result["took_ms"] + before_ms, 3)}


async def found(request: Request, query: SearchQuery) -> dict[str, Any]:
    """Return the answer to a query, ready to be rendered."""
    got = await house_of(request).dispatch.search(query)
    request.app.state.metrics.searched(got)
    request.app.state.tracing.searched(got.spans)
    result = {
        "hits": orjson.Fragment(got.hits_json),  # rendered by the reduce worker already
        "coverage": got.coverage,
        "took_ms": got.took_ms,
    }
    return {**result, "trace": _trace(got)} if query.trace else result


def _trace(got: SearchAnswer) -> dict[str, Any]:
    """Return where a query's time went."""
    stages = [
        {"stage": stage, "queue_ms": round(1e3 * waited, 3), "work_ms": round(1e3 * worked, 3)}
        for stage, waited, worked in got.spans
    ]
    return {"batch": got.batch, "stages": stages}


async def _complete(body: SearchBody, query: SearchQuery, house: House) -> SearchQuery:
    """Return the query with the media it shows or the vectors of the document it names."""
    asked = body.query
    if asked.id is not None:
        return await like(asked.id, query, house)
    if not asked.media:
        return query
    contents = dict(zip(asked.media, await contents_of(asked, query, house), strict=True))
    if not asked.is_mixed:
        return replace(query, medium=contents[asked.kind])
    parts: dict[str, str | bytes] = {} if asked.text is None else {"text": asked.text}
    return await mixed(asked, {**parts, **contents}, query, house)


async def _one(request: Request, body: SearchBody) -> dict[str, Any]:
    """Return the result of one search of several, or its problem."""
    try:
        return await _asked(request, body, query_of(body, house_of(request)))
    except Problem as problem:
        return _placed(request, problem)
    except DispatchError as error:
        return _placed(request, of_dispatch(error))
    except IndexStoreError as error:
        return _placed(request, of_store(error))


def _placed(request: Request, problem: Problem) -> dict[str, Any]:
    """Return a problem as one of several results."""
    request_id = request.scope["state"]["request_id"]
    return problem.document(instance=request.url.path, request_id=request_id)
