"""Jobs: how far accepted documents have come."""

import time
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api.house import House, answer, house_of
from app.api.openapi import answers
from app.api.problems import Problem
from app.api.schemas.jobs import JobDocumentPage, JobPage, JobResult, ReplayResult
from indexstore.layouts import Layouts
from indexstore.ledger import Ledger
from indexstore.model import Job, StoredDocument

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Documents read at a time where all are wanted.
_PAGE = 1_000
State = Literal["running", "completed", "partial", "failed", "cancelled"]
DocumentStateName = Literal["queued", "indexed", "failed", "dead"]
LimitQuery = Annotated[int, Query(ge=1, le=1_000)]
CursorQuery = Annotated[str | None, Query(max_length=1_024, description="of the page before")]


@router.get("", summary="List jobs", response_model=None, responses=answers(JobPage, 400, 503))
async def listing(
    request: Request,
    state: State | None = None,
    limit: LimitQuery = 50,
    cursor: CursorQuery = None,
) -> Response:
    """Return jobs, newest first."""
    house = house_of(request)
    page = await house.ledger(
        Ledger.jobs,
        house.plan.collection,
        states=(state,) if state else (),
        limit=limit,
        cursor=cursor,
    )
    return answer({"jobs": [job_of(job) for job in page.items], "cursor": page.cursor})


@router.get(
    "/{job_id}", summary="Read one job", response_model=None, responses=answers(JobResult, 404, 503)
)
async def read(request: Request, job_id: str) -> Response:
    """Return a job with the number of its documents in each state."""
    return answer(job_of(await house_of(request).ledger(Ledger.job, job_id)))


@router.get(
    "/{job_id}/documents",
    summary="List the documents of a job",
    response_model=None,
    responses=answers(JobDocumentPage, 400, 404, 503),
)
async def documents(
    request: Request,
    job_id: str,
    state: DocumentStateName | None = None,
    limit: LimitQuery = 100,
    cursor: CursorQuery = None,
) -> Response:
    """Return the documents of a job, and why those failed that did."""
    house = house_of(request)
    await house.ledger(Ledger.job, job_id)
    page = await house.ledger(
        Ledger.scroll,
        house.plan.collection,
        job_id=job_id,
        states=(state,) if state else (),
        limit=limit,
        cursor=cursor,
    )
    return answer({"documents": [document_row(one) for one in page.items], "cursor": page.cursor})


@router.post(
    "/{job_id}/retry",
    summary="Try a job's failed documents again",
    response_model=None,
    responses=answers(ReplayResult, 404, 503),
)
async def retry(request: Request, job_id: str) -> Response:
    """Queue the failed and dead documents of a job again; the job is then running again."""
    house = house_of(request)
    await house.ledger(Ledger.job, job_id)
    lost = await lost_of(house, job_id)
    queued = await house.ledger(Ledger.retry, house.plan.collection, list(lost)) if lost else []
    return answer({"queued": queued})


@router.post(
    "/{job_id}/cancel",
    summary="Cancel a job",
    response_model=None,
    responses=answers(JobResult, 404, 409, 503),
)
async def cancel(request: Request, job_id: str) -> Response:
    """End a job: what of it is searchable stays, what is not never will be.

    A document that had an older content keeps that one. A training, a reindexing or a change of
    shards that is cancelled leaves everything as it was.
    """
    house = house_of(request)
    job = await house.ledger(Ledger.job, job_id)
    if job.finished_at is not None:
        raise Problem("conflict", f"the job has ended: it is {job.state}")
    if job.kind == "index":
        await require_none(house, "reindex")
    cancelled = await house.ledger(Ledger.cancel_job, house.plan.collection, job_id)
    if job.kind == "reshard":
        await to_thread.run_sync(_keep_shards, house)
    return answer(job_of(cancelled))


def _keep_shards(house: House) -> None:
    layouts = Layouts(house.dispatch.ledger.database)
    serving = {name: one.shards for name, one in layouts.read(house.plan.collection).items()}
    layouts.want(house.plan.collection, serving)


async def require_none(house: House, *kinds: str) -> None:
    """Make sure that no job of these kinds is under way.

    Raises:
        Problem: one is.
    """
    for kind in kinds:
        jobs = await house.ledger(Ledger.open_jobs, house.plan.collection, kind=kind)
        if jobs:
            raise Problem("conflict", f"job {jobs[0].id} ({kind}) is under way; wait for its end")


async def lost_of(house: House, job_id: str | None = None) -> dict[str, str | None]:
    """Return id and error of all failed and dead documents, of one job or of all."""
    found: dict[str, str | None] = {}
    cursor = None
    while True:
        page = await house.ledger(
            Ledger.scroll,
            house.plan.collection,
            job_id=job_id,
            states=("failed", "dead"),
            limit=_PAGE,
            cursor=cursor,
        )
        found |= {one.document.doc_id: one.error for one in page.items}
        cursor = page.cursor
        if cursor is None:
            return found


def job_of(job: Job) -> dict[str, Any]:
    """Return a job as JSON."""
    return {
        "id": job.id,
        "collection": job.collection,
        "kind": job.kind,
        "state": job.state,
        "total": job.total,
        "counts": dict(job.counts),
        "token": str(job.token),
        "error": job.error,
        "created_at": job.created_at,
        "finished_at": job.finished_at,
        "progress": _progress(job),
        "eta_s": _eta_s(job),
    }


def _progress(job: Job) -> float:
    """Return the share of a job that is done, from 0 to 1."""
    if job.finished_at is not None or job.total == 0 or not job.counts:
        return 1.0 if job.finished_at is not None else 0.0
    return round((job.total - job.pending) / job.total, 4)


def _eta_s(job: Job) -> float | None:
    """Return the seconds still to go at the pace so far; None while there is no pace."""
    done = job.total - job.pending
    if job.finished_at is not None or not done or not job.counts:
        return None
    return round(job.pending * (time.time() - job.created_at) / done, 1)


def document_row(stored: StoredDocument) -> dict[str, Any]:
    """Return what became of a document as JSON, without its content."""
    return {
        "id": stored.document.doc_id,
        "status": stored.state,
        "version": stored.version,
        "attempts": stored.attempts,
        "error": stored.error,
    }
