"""Answering with a job that the workers do by themselves: at once, or when it has ended."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from starlette.responses import Response

from app.api.house import answer, house_of
from app.api.jobs import job_of
from app.api.problems import Problem
from app.api.waiting import WhileConnected
from indexstore.model import Job

Wait = Literal["no", "done"]
WaitQuery = Annotated[Wait, Query(description="hold the answer back until the job has ended")]


async def followed(
    request: Request, job: Job, more: dict[str, Any], *, wait: Wait, timeout_s: float
) -> Response:
    """Answer with the job: 202, or 200 when it was waited for and has ended.

    Raises:
        Problem: 422 when it has failed, with its reason.
    """
    if wait == "done":
        async with WhileConnected(request):
            job = await house_of(request).dispatch.finished(job.id, timeout_s)
    if job.state == "failed":
        raise Problem("unprocessable", job.error or "the job failed; see the workers' log")
    return answer(
        {**job_of(job), **more},
        status=202 if job.finished_at is None else 200,
        headers={"location": f"/v1/jobs/{job.id}"},
    )
