"""Training what a flow's components learn, and encoding a collection again with it."""

from typing import Any

from anyio import to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.api.documents import TimeoutQuery, nothing_accepted, take_in
from app.api.following import Wait, WaitQuery, followed
from app.api.house import House, house_of
from app.api.intake import Intake
from app.api.jobs import require_none
from app.api.limits import check_timeout
from app.api.openapi import answers, takes
from app.api.problems import Problem
from app.api.schemas.documents import DocumentBody
from app.api.schemas.jobs import JobResult, TrainingResult
from compose.wire import codec
from indexstore.generations import Generations
from indexstore.ledger import Ledger
from indexstore.model import Document

router = APIRouter(prefix="/v1/collections/{collection}", tags=["training"])

#: Documents of one training: a sample of as many says all that these components can learn.
MOST_DOCUMENTS = 100_000


class TrainingIntake(Intake):
    """Documents to learn from: checked like those that are stored, and kept by themselves."""

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.documents: list[dict[str, Any]] = []

    async def _submit(self, good: dict[int, Document]) -> None:
        """Keep the documents; nothing is written to the ledger."""
        self.documents += [
            {"modality": one.modality, "content": dict(one.content), "tags": dict(one.tags)}
            for one in good.values()
        ]
        if len(self.documents) > MOST_DOCUMENTS:
            detail = f"one training takes {MOST_DOCUMENTS} documents at most; send a sample"
            raise Problem("too_many_items", detail)


@router.post(
    "/train",
    summary="Train the flow's components",
    response_model=None,
    responses=answers(
        TrainingResult, 400, 404, 409, 413, 415, 422, 503, status=202, also={200: "trained"}
    ),
    openapi_extra=takes(DocumentBody, example=[{"text": "A sentence to learn from."}], many=True),
)
async def train(
    request: Request,
    collection: str,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
) -> Response:
    """Let the components that learn do so from these documents, which are not stored.

    The first training is used at once. A later one is used by the next reindexing, because what
    is stored was encoded with the one before; of a collection without documents, at once.
    """
    house_of(request).collection(collection)
    return await start(request, wait=wait, timeout_s=timeout)


async def start(request: Request, *, wait: Wait, timeout_s: float) -> Response:
    """Take the documents in and open the job that trains on them.

    Raises:
        Problem: nothing in the flow learns, no document is good, or the job has failed.
    """
    house = house_of(request)
    check_timeout(timeout_s, house.limits, field="timeout")
    if not house.plan.learners:
        detail = "no component of this flow learns, so there is nothing to train"
        raise Problem("unprocessable", detail)
    intake = TrainingIntake(house)
    await take_in(request, intake)
    if not intake.documents:
        raise nothing_accepted(intake)
    _refuse_addresses(intake.documents)
    blob = await to_thread.run_sync(lambda: house.media.put(codec.dumps(intake.documents)))
    job = await house.dispatch.open_job("train", total=len(intake.documents), payload=blob.name)
    refused = [{"index": bad.index, "reason": bad.reason} for bad in intake.refused]
    return await followed(request, job, {"refused": refused}, wait=wait, timeout_s=timeout_s)


@router.post(
    "/reindex",
    summary="Encode all documents again",
    response_model=None,
    responses=answers(JobResult, 400, 404, 409, 422, 503, status=202, also={200: "done"}),
)
async def reindex(
    request: Request,
    collection: str,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
) -> Response:
    """Encode all documents with what was learnt last, beside those that serve; then swap.

    Searches go on meanwhile. While one reindexing runs this returns its job.
    """
    house = house_of(request)
    name = house.collection(collection)
    check_timeout(timeout, house.limits, field="timeout")
    under_way = await house.ledger(Ledger.open_jobs, name, kind="reindex")
    await require_none(house, "train", "reshard", "restore")
    if under_way:
        job = under_way[0]
    else:
        generation, shown = await to_thread.run_sync(_next_generation, house, name)
        job = await house.dispatch.open_job("reindex", total=shown, payload=str(generation))
    return await followed(request, job, {}, wait=wait, timeout_s=timeout)


def _next_generation(house: House, name: str) -> tuple[int, int]:
    """Return the generation to make and how many documents it will have."""
    generations = Generations(house.dispatch.ledger.database)
    return generations.next_generation(name), generations.shown(name)


def _refuse_addresses(documents: list[dict[str, Any]]) -> None:
    """Refuse media that are still only addresses: a training reads what is there.

    Raises:
        Problem: one is.
    """
    for one in documents:
        medium = one["content"].get(one["modality"])
        if isinstance(medium, dict) and "blob" not in medium:
            detail = "training documents bring their media as base64, file or blob, not as url"
            raise Problem("unprocessable", detail)
