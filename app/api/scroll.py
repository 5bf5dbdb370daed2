"""Walk through a collection's documents, count them, see what their tags hold."""

import time
from typing import Any

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.api.body import read_json
from app.api.documents import document_of
from app.api.house import House, answer, house_of
from app.api.openapi import answers, takes
from app.api.problems import invalid
from app.api.querying import plain_filter
from app.api.schemas.base import Input
from app.api.schemas.documents import CountResult, DocumentPage, FacetResult
from app.api.schemas.filters import CheckedFilter, FilterJson
from indexstore.ledger import Ledger
from indexstore.model import DocumentState
from indexstore.reads import decode_cursor, encode_cursor

router = APIRouter(prefix="/v1/collections/{collection}/documents", tags=["documents"])

_PROBLEMS = (400, 404, 413, 415, 422, 500, 503, 504)


class CountBody(Input):
    """What to count: searchable documents that match, or stored ones in some states."""

    filter: FilterJson | None = None
    states: list[DocumentState] = Field(default_factory=list, description="all when empty")


class ScrollBody(CountBody):
    """Which documents, where to go on, and how far."""

    limit: int = Field(100, ge=1, le=1_000)
    cursor: str | None = Field(None, max_length=4_096, description="of the page before")


class FacetBody(Input):
    """Which tag, over which documents."""

    key: str = Field(min_length=1, max_length=256)
    filter: FilterJson | None = None
    limit: int = Field(10, ge=1, le=1_000)


@router.post(
    "/scroll",
    summary="Page through documents",
    response_model=None,
    responses=answers(DocumentPage, *_PROBLEMS),
    openapi_extra=takes(ScrollBody, example={"limit": 100}),
)
async def scroll(request: Request, collection: str) -> Response:
    """Return documents by id; the cursor of a page continues after it, null is the end.

    With a filter these are the searchable documents that match; without, all that are stored.
    """
    house = house_of(request)
    house.collection(collection)
    body = ScrollBody.read(await read_json(request))
    _check_either(body)
    if body.filter is not None:
        return answer(await _matching(house, body, body.filter))
    page = await house.ledger(
        Ledger.scroll, collection, limit=body.limit, cursor=body.cursor, states=body.states
    )
    rows = [document_of(stored) for stored in page.items]
    return answer({"documents": rows, "cursor": page.cursor})


@router.post(
    "/count",
    summary="Count documents",
    response_model=None,
    responses=answers(CountResult, *_PROBLEMS),
    openapi_extra=takes(CountBody, example={}),
)
async def count(request: Request, collection: str) -> Response:
    """Return how many searchable documents match, or how many are stored in these states."""
    house = house_of(request)
    house.collection(collection)
    body = CountBody.read(await read_json(request))
    _check_either(body)
    if body.filter is not None:
        condition = plain_filter(body.filter, house.limits)
        matching = await house.dispatch.inspector.count(condition, **await now(house))
        return answer({"count": matching})
    counts = await house.ledger(Ledger.counts_by_state, collection)
    wanted = body.states or counts
    return answer({"count": sum(counts[state] for state in set(wanted))})


@router.post(
    "/facet",
    summary="Count the values of a tag",
    response_model=None,
    responses=answers(FacetResult, *_PROBLEMS),
    openapi_extra=takes(FacetBody, example={"key": "module", "limit": 10}),
)
async def facet(request: Request, collection: str) -> Response:
    """Return the values of a tag with the number of documents that have each, most first."""
    house = house_of(request)
    house.collection(collection)
    body = FacetBody.read(await read_json(request))
    values = await house.dispatch.inspector.facet(
        body.key, plain_filter(body.filter, house.limits), limit=body.limit, **await now(house)
    )
    return answer({"values": [{"value": value, "count": number} for value, number in values]})


async def now(house: House) -> dict[str, Any]:
    """Return what an exact question to the shards is asked with: all that is in the log by now."""
    timeout_s = house.config.search_timeout_s
    started = time.monotonic()
    min_seq = await house.dispatch.min_seq("0", timeout_s)
    return {"min_seq": min_seq, "timeout_s": timeout_s - (time.monotonic() - started)}


async def _matching(house: House, body: ScrollBody, condition: CheckedFilter) -> dict[str, Any]:
    """Return a page of the searchable documents that match."""
    after = decode_cursor(body.cursor)
    ids = await house.dispatch.inspector.list_ids(
        plain_filter(condition, house.limits),
        after=after,
        limit=body.limit,
        **await now(house),
    )
    stored = await house.ledger(Ledger.some, house.plan.collection, ids)
    rows = [document_of(one) for one in stored]
    return {"documents": rows, "cursor": encode_cursor(ids[-1]) if len(ids) == body.limit else None}


def _check_either(body: CountBody) -> None:
    """Refuse a filter together with states: shards know tags, the ledger knows states."""
    if body.filter is not None and body.states:
        reason = "give filter or states, not both: a filter sees searchable documents only"
        raise invalid([{"field": "states", "reason": reason}])
