"""Snapshots of a collection: taken, listed, restored, deleted."""

import json
from dataclasses import asdict
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from pydantic import Field
from starlette.responses import Response

from app.api.body import read_json
from app.api.documents import TimeoutQuery
from app.api.following import WaitQuery, followed
from app.api.house import answer, house_of
from app.api.jobs import require_none
from app.api.limits import check_timeout
from app.api.openapi import answers, takes
from app.api.problems import Problem, invalid
from app.api.schemas.base import Input
from app.api.schemas.jobs import JobResult, SnapshotDeleted, SnapshotList, SnapshotResult
from indexstore.archive import Archive, CorruptSnapshotError, SnapshotInfo, is_name, new_name
from indexstore.ledger import Ledger

router = APIRouter(prefix="/v1/collections/{collection}/snapshots", tags=["deployment"])

SnapshotPath = Annotated[str, Path(max_length=63)]
#: While one of these is under way the collection is not what a snapshot or a restore expects.
_EXCLUSIVE = ("reindex", "train", "restore")


class SnapshotBody(Input):
    """What to call the snapshot; the time when not said."""

    name: str | None = Field(None, max_length=63)


class RestoreBody(Input):
    """How to restore: with the vectors of the snapshot, or encoding its documents again."""

    encode: bool = False


@router.get("", summary="List snapshots", response_model=None, responses=answers(SnapshotList, 404))
async def listing(request: Request, collection: str) -> Response:
    """Return the snapshots that are complete, newest first, and the names of damaged ones."""
    archive = _archive(request, collection)
    found, damaged = await to_thread.run_sync(archive.survey)
    return answer({"snapshots": [_plain(info) for info in found], "damaged": damaged})


@router.post(
    "",
    summary="Take a snapshot",
    response_model=None,
    responses=answers(
        JobResult, 400, 404, 409, 413, 415, 422, 503, status=202, also={200: "taken"}
    ),
    openapi_extra=takes(SnapshotBody, example={"name": "before-the-change"}),
)
async def create(
    request: Request,
    collection: str,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
) -> Response:
    """Keep all documents as they are at one moment, with their vectors and media.

    The snapshot lies in the blob store below ``.snapshots``; its folder can be copied to another
    deployment. Searches and writes go on.
    """
    house, archive = house_of(request), _archive(request, collection)
    check_timeout(timeout, house.limits, field="timeout")
    name = SnapshotBody.read(await read_json(request)).name or new_name()
    if not is_name(name):
        reason = "a name has letters, digits, . - and _, and begins with a letter or a digit"
        raise invalid([{"field": "name", "reason": reason}])
    await require_none(house, *_EXCLUSIVE)
    known, damaged = await to_thread.run_sync(archive.survey)
    under_way = await house.ledger(Ledger.open_jobs, house.plan.collection, kind="snapshot")
    taken = {info.name for info in known} | {job.payload for job in under_way}
    if name in taken.union(damaged):
        raise Problem("conflict", f"there is a snapshot {name!r} already, or one is being taken")
    counts = await house.ledger(Ledger.counts_by_state, house.plan.collection)
    job = await house.dispatch.open_job("snapshot", total=sum(counts.values()), payload=name)
    return await followed(request, job, {"snapshot": name}, wait=wait, timeout_s=timeout)


@router.get(
    "/{snapshot}",
    summary="Describe a snapshot",
    response_model=None,
    responses=answers(SnapshotResult, 400, 404, 422),
)
async def read(request: Request, collection: str, snapshot: SnapshotPath) -> Response:
    """Return what a snapshot holds, and which flow has encoded it."""
    archive = _archive(request, collection)
    return answer(_plain(await to_thread.run_sync(archive.info, snapshot)))


@router.delete(
    "/{snapshot}",
    summary="Delete a snapshot",
    response_model=None,
    responses=answers(SnapshotDeleted, 400, 404, 409, 503),
)
async def delete(request: Request, collection: str, snapshot: SnapshotPath) -> Response:
    """Delete a snapshot, damaged or not, and give its room back."""
    house, archive = house_of(request), _archive(request, collection)
    await require_none(house, "restore")
    try:
        size = (await to_thread.run_sync(archive.info, snapshot)).size_bytes
    except CorruptSnapshotError:
        size = None
    await to_thread.run_sync(archive.delete, snapshot)
    return answer({"name": snapshot, "size_bytes": size})


@router.post(
    "/{snapshot}/restore",
    summary="Restore a snapshot",
    response_model=None,
    responses=answers(
        JobResult, 400, 404, 409, 413, 415, 422, 503, status=202, also={200: "restored"}
    ),
    openapi_extra=takes(RestoreBody, example={}),
)
async def restore(
    request: Request,
    collection: str,
    snapshot: SnapshotPath,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
) -> Response:
    """Bring a collection back to what it was: documents written since the snapshot are deleted.

    Documents come back page by page while searches go on; what is written after this request
    stays. Nothing is encoded, unless ``encode`` asks for it, as for a snapshot of another flow.
    """
    house, archive = house_of(request), _archive(request, collection)
    check_timeout(timeout, house.limits, field="timeout")
    body = RestoreBody.read(await read_json(request))
    await require_none(house, *_EXCLUSIVE, "snapshot")
    info = await to_thread.run_sync(archive.info, snapshot)
    current = await house.ledger(Ledger.collection, house.plan.collection)
    order = {"snapshot": snapshot, "since": current.last_version, "encode": body.encode}
    job = await house.dispatch.open_job("restore", total=info.documents, payload=json.dumps(order))
    return await followed(request, job, {}, wait=wait, timeout_s=timeout)


def _archive(request: Request, collection: str) -> Archive:
    house = house_of(request)
    return Archive(house.config.blob_url, house.collection(collection))


def _plain(info: SnapshotInfo) -> dict[str, Any]:
    said = asdict(info)
    hidden = ("parts", "media", "artefacts", "lineage")
    return {
        **{name: value for name, value in said.items() if name not in hidden},
        "media": len(info.media),
    }
