"""Walk through a collection's documents, and count them."""

from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.api.body import read_json
from app.api.documents import document_of
from app.api.house import answer, house_of
from app.api.openapi import answers, takes
from app.api.schemas.base import Input
from app.api.schemas.documents import CountResult, DocumentPage
from indexstore.ledger import Ledger
from indexstore.model import DocumentState

router = APIRouter(prefix="/v1/collections/{collection}/documents", tags=["documents"])


class ScrollBody(Input):
    """Where to go on, and how far."""

    limit: int = Field(100, ge=1, le=1_000)
    cursor: str | None = Field(None, max_length=4_096, description="of the page before")
    states: list[DocumentState] = Field(default_factory=list, description="all when empty")


class CountBody(Input):
    """What to count."""

    states: list[DocumentState] = Field(default_factory=list, description="all when empty")


@router.post(
    "/scroll",
    summary="Page through documents",
    response_model=None,
    responses=answers(DocumentPage, 400, 404, 413, 415, 503),
    openapi_extra=takes(ScrollBody, example={"limit": 100}),
)
async def scroll(request: Request, collection: str) -> Response:
    """Return documents by id; the cursor of a page continues after it, null is the end."""
    house = house_of(request)
    house.collection(collection)
    body = ScrollBody.read(await read_json(request))
    page = await house.ledger(
        Ledger.scroll, collection, limit=body.limit, cursor=body.cursor, states=body.states
    )
    rows = [document_of(stored) for stored in page.items]
    return answer({"documents": rows, "cursor": page.cursor})


@router.post(
    "/count",
    summary="Count documents",
    response_model=None,
    responses=answers(CountResult, 400, 404, 413, 415, 503),
    openapi_extra=takes(CountBody, example={}),
)
async def count(request: Request, collection: str) -> Response:
    """Return how many documents there are, or how many in these states."""
    house = house_of(request)
    house.collection(collection)
    body = CountBody.read(await read_json(request))
    counts = await house.ledger(Ledger.counts_by_state, collection)
    wanted = body.states or counts
    return answer({"count": sum(counts[state] for state in set(wanted))})
