"""A job's progress as server-sent events: no polling for the client, one cheap read for us."""

import asyncio
import time
from collections.abc import AsyncIterator

import orjson
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from app.api.house import House, house_of
from app.api.jobs import job_of
from app.api.openapi import answers
from app.api.schemas.jobs import JobResult
from indexstore.errors import IndexStoreError
from indexstore.ledger import Ledger
from indexstore.model import Job

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

#: Seconds between two looks at the ledger.
LOOK_S = 0.25
#: Seconds of silence after which a comment keeps proxies from closing the connection.
KEEP_ALIVE_S = 15.0


@router.get(
    "/{job_id}/events",
    summary="Follow a job",
    response_class=StreamingResponse,
    responses={
        **answers(JobResult, 404, 503),
        200: {
            "description": "`progress` events with the job as data, then one `end` event",
            "content": {"text/event-stream": {}},
        },
    },
)
async def follow(request: Request, job_id: str) -> Response:
    """Send the job whenever its counts change, until it ends; then the stream ends too."""
    house = house_of(request)
    job = await house.ledger(Ledger.job, job_id)
    return StreamingResponse(
        _events(house, job),
        media_type="text/event-stream",
        headers={"cache-control": "no-store", "x-accel-buffering": "no"},
    )


async def _events(house: House, job: Job) -> AsyncIterator[bytes]:
    """Yield events from this state of the job on; the client's going ends it between two looks."""
    yield _event("progress", job)
    spoken_at = time.monotonic()
    while job.finished_at is None:
        await asyncio.sleep(LOOK_S)
        try:
            now = await house.ledger(Ledger.job, job.id)
        except IndexStoreError as error:
            yield b"event: error\ndata: " + orjson.dumps({"detail": str(error)}) + b"\n\n"
            return
        if now != job:
            job = now
            yield _event("progress", job)
            spoken_at = time.monotonic()
        elif time.monotonic() - spoken_at > KEEP_ALIVE_S:
            yield b": still here\n\n"
            spoken_at = time.monotonic()
    yield _event("end", job)


def _event(name: str, job: Job) -> bytes:
    """Return one event with the job as its data."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(job_of(job)) + b"\n\n"
