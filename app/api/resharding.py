"""Changing the number of shards while searches and writes go on."""

import json
from collections.abc import Mapping
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Request
from pydantic import Field
from starlette.responses import Response

from app.api.body import read_json
from app.api.documents import TimeoutQuery
from app.api.following import WaitQuery, followed
from app.api.house import House, house_of
from app.api.jobs import require_none
from app.api.limits import check_timeout
from app.api.openapi import answers, takes
from app.api.problems import Problem, invalid
from app.api.schemas.base import Input
from app.api.schemas.jobs import JobResult
from compose.errors import nearest, one_of
from compose.keys import MAX_COPIES
from indexstore.layouts import Layouts
from indexstore.ledger import Ledger

router = APIRouter(prefix="/v1/collections/{collection}", tags=["deployment"])

Number = Annotated[int, Field(ge=1, le=MAX_COPIES)]


class ReshardBody(Input):
    """How many shards there shall be: of every index, or of each one named."""

    shards: Number | dict[str, Number]


@router.post(
    "/reshard",
    summary="Change the number of shards",
    response_model=None,
    responses=answers(JobResult, 400, 404, 409, 413, 415, 422, 503, status=202, also={200: "done"}),
    openapi_extra=takes(ReshardBody, example={"shards": 4}),
)
async def reshard(
    request: Request,
    collection: str,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
) -> Response:
    """Deal the documents out to another number of shards; searches and writes go on meanwhile.

    Nothing is encoded again. The new shards serve once each of their queues has a worker that is
    ready: ``GET /v1/queues`` lists the queues, and whoever deploys starts workers on new ones
    (``gnes up`` does so by itself). The number outlives restarts, until the flow says another one.
    """
    house = house_of(request)
    name = house.collection(collection)
    check_timeout(timeout, house.limits, field="timeout")
    wanted = _numbers(ReshardBody.read(await read_json(request)).shards, house)
    await require_none(house, "reindex")
    payload = json.dumps(wanted, sort_keys=True)
    under_way = await house.ledger(Ledger.open_jobs, name, kind="reshard")
    if any(job.payload != payload for job in under_way):
        raise Problem("conflict", f"job {under_way[0].id} changes the shards to another number")
    job = (
        under_way[0]
        if under_way
        else await house.dispatch.open_job("reshard", total=sum(wanted.values()), payload=payload)
    )
    await to_thread.run_sync(Layouts(house.dispatch.ledger.database).want, name, wanted)
    return await followed(request, job, {}, wait=wait, timeout_s=timeout)


def _numbers(asked: int | Mapping[str, int], house: House) -> dict[str, int]:
    """Return the number of shards by index.

    Raises:
        Problem: the flow has no Indexer, or none of a name.
    """
    known = [index.name for index in house.plan.indexes]
    if not known:
        raise Problem("unprocessable", "this flow has no Indexer, so it has no shards")
    if isinstance(asked, int):
        return dict.fromkeys(known, asked)
    for name in asked:
        if name not in known:
            near = nearest(name, known)
            hint = f"; did you mean {near!r}?" if near else ""
            reason = f"{name[:60]!r} is no index of this flow; it has {one_of(known)}{hint}"
            raise invalid([{"field": f"shards.{name[:60]}", "reason": reason}])
    return dict(asked)
