"""Delete many documents at once: by id, or by a filter on their tags."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.body import read_json
from app.api.house import House, answer, house_of
from app.api.openapi import answers, takes
from app.api.problems import Problem
from app.api.querying import plain_filter
from app.api.schemas.documents import DeleteBody, DeleteResult
from app.api.schemas.filters import CheckedFilter
from app.api.scroll import now
from indexstore.ledger import Ledger

router = APIRouter(prefix="/v1/collections/{collection}/documents", tags=["documents"])

#: Ids asked for and deleted at a time.
_PAGE = 1_000


@router.post(
    "/delete",
    summary="Delete documents by id or filter",
    response_model=None,
    responses=answers(DeleteResult, 400, 404, 413, 415, 422, 500, 503, 504),
    openapi_extra=takes(DeleteBody, example={"ids": ["os.path.join"]}),
)
async def delete_many(request: Request, collection: str) -> Response:
    """Delete these documents; once this answers, no search shows them any more.

    A filter finds the documents that are searchable when the request comes.
    """
    house = house_of(request)
    house.collection(collection)
    body = DeleteBody.read(await read_json(request))
    if body.filter is not None:
        deleted, token = await _by_filter(house, body.filter)
        return answer({"deleted": deleted, "missing": [], "token": str(token)})
    ids = list(dict.fromkeys(body.ids or ()))
    if len(ids) > house.limits.max_batch:
        detail = f"{len(ids)} ids are over the limit max_batch ({house.limits.max_batch})"
        raise Problem("too_many_items", detail, members={"limit": house.limits.max_batch})
    deletion = await house.dispatch.delete(ids)
    gone = set(deletion.deleted)
    missing = [doc_id for doc_id in ids if doc_id not in gone]
    return answer(
        {"deleted": list(deletion.deleted), "missing": missing, "token": str(deletion.token)}
    )


async def _by_filter(house: House, condition: CheckedFilter) -> tuple[list[str], int]:
    """Delete all searchable documents that match; return their ids and the token."""
    plain = plain_filter(condition, house.limits)
    moment = await now(house)
    token, _, _ = await house.ledger(Ledger.stamp, house.plan.collection)
    deleted: list[str] = []
    after = ""
    while ids := await house.dispatch.inspector.list_ids(plain, after=after, limit=_PAGE, **moment):
        deletion = await house.dispatch.delete(ids)
        deleted += deletion.deleted
        token, after = deletion.token, ids[-1]
    return deleted, token
