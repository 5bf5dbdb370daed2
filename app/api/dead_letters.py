"""Documents that could not be indexed: look at them, try them again, or drop them."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from app.api.body import read_json
from app.api.house import answer, house_of
from app.api.jobs import CursorQuery, LimitQuery, document_row, lost_of
from app.api.openapi import answers, takes
from app.api.schemas.base import Input
from app.api.schemas.documents import DeleteResult
from app.api.schemas.jobs import JobDocumentPage, ReplayResult
from indexstore.ledger import Ledger
from indexstore.model import DocumentState

router = APIRouter(prefix="/v1/dead-letters", tags=["jobs"])

_LOST: tuple[DocumentState, ...] = ("failed", "dead")


class ReplayBody(Input):
    """Which documents to try again; all failed and dead ones when not said."""

    ids: list[str] | None = Field(None, min_length=1, max_length=10_000)


@router.get(
    "",
    summary="List documents that could not be indexed",
    response_model=None,
    responses=answers(JobDocumentPage, 400, 503),
)
async def listing(
    request: Request,
    state: Literal["failed", "dead"] | None = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> Response:
    """Return failed documents (their content cannot be encoded) and dead ones (tried too often)."""
    house = house_of(request)
    page = await house.ledger(
        Ledger.scroll,
        house.plan.collection,
        states=(state,) if state else _LOST,
        limit=limit,
        cursor=cursor,
    )
    rows = [document_row(one) for one in page.items]
    return answer({"documents": rows, "cursor": page.cursor})


@router.post(
    "/replay",
    summary="Try documents again",
    response_model=None,
    responses=answers(ReplayResult, 400, 413, 415, 503),
    openapi_extra=takes(ReplayBody, example={}),
)
async def replay(request: Request) -> Response:
    """Queue failed and dead documents again and reopen their jobs."""
    house = house_of(request)
    body = ReplayBody.read(await read_json(request))
    queued = await house.ledger(Ledger.retry, house.plan.collection, body.ids)
    return answer({"queued": queued})


@router.delete(
    "",
    summary="Drop documents that could not be indexed",
    response_model=None,
    responses=answers(DeleteResult, 503),
)
async def discard(
    request: Request,
    doc_ids: Annotated[
        list[str] | None, Query(alias="id", description="these; all when not given")
    ] = None,
) -> Response:
    """Delete failed and dead documents; an older version that is still searchable goes too."""
    house = house_of(request)
    lost = await lost_of(house)
    chosen = [doc_id for doc_id in (lost if doc_ids is None else doc_ids) if doc_id in lost]
    missing = [doc_id for doc_id in doc_ids or () if doc_id not in lost]
    if not chosen:
        info = await house.ledger(Ledger.collection, house.plan.collection)
        return answer({"deleted": [], "missing": missing, "token": str(info.last_version)})
    deletion = await house.dispatch.delete(chosen)
    return answer(
        {"deleted": list(deletion.deleted), "missing": missing, "token": str(deletion.token)}
    )
