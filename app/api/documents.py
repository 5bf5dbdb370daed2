"""Documents: write, read, patch, delete."""

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from app.api.body import (
    is_json,
    is_multipart,
    is_ndjson,
    lines,
    media_type_of,
    parse,
    read_json,
    unsupported,
)
from app.api.house import answer, house_of
from app.api.intake import Intake
from app.api.jobs import lost_of
from app.api.limits import check_batch, check_timeout, version_of
from app.api.metrics import Metrics
from app.api.openapi import answers, takes
from app.api.problems import Problem, faults_of, invalid
from app.api.schemas.base import with_hints
from app.api.schemas.documents import (
    DeleteResult,
    DocumentBody,
    DocumentResult,
    PatchBody,
    PatchResult,
    WriteResult,
)
from app.api.uploads import take_files
from app.api.waiting import WhileConnected
from indexstore.errors import DocumentNotFoundError
from indexstore.ledger import Ledger
from indexstore.model import StoredDocument

router = APIRouter(prefix="/v1/collections/{collection}/documents", tags=["documents"])

Wait = Literal["no", "indexed", "searchable"]
WaitQuery = Annotated[Wait, Query(description="until when to hold the answer back")]
TimeoutQuery = Annotated[float, Query(description="seconds to wait at most; then 202")]
KeyHeader = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key", max_length=256, description="repeat a write without doing it twice"
    ),
]
MatchHeader = Annotated[
    str | None, Header(alias="If-Match", description="the ETag that the document must have")
]
EXAMPLE = [
    {
        "id": "os.path.join",
        "text": "Join one or more path segments.",
        "tags": {"module": "os.path"},
    },
    {"text": "Return the base name of pathname path."},
]


@router.post(
    "",
    summary="Write documents",
    response_model=None,
    responses=answers(
        WriteResult,
        400,
        404,
        409,
        413,
        415,
        422,
        429,
        503,
        status=202,
        also={200: "done, as waited for"},
    ),
    openapi_extra=takes(DocumentBody, example=EXAMPLE, many=True),
)
async def write(
    request: Request,
    collection: str,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
    idempotency_key: KeyHeader = None,
) -> Response:
    """Store documents: new ones, and new versions of those whose id is known.

    Each item is judged alone: what is wrong with one is in its ``error``, the others are accepted.
    An accepted document is durable; the job tells when it is indexed, the token when it is seen.
    """
    house_of(request).collection(collection)
    return await accept(request, wait=wait, timeout_s=timeout, idempotency_key=idempotency_key)


async def accept(
    request: Request, *, wait: Wait, timeout_s: float, idempotency_key: str | None
) -> Response:
    """Take in the documents of a request's body and answer, at once or when they are indexed."""
    house = house_of(request)
    check_timeout(timeout_s, house.limits, field="timeout")
    intake = Intake(house, idempotency_key=idempotency_key)
    await take_in(request, intake)
    return await receipt(request, intake, wait=wait, timeout_s=timeout_s)


async def take_in(request: Request, intake: Intake) -> None:
    """Take in the documents of a body: JSON, a line of JSON each, or a form with files.

    Raises:
        Problem: the body is of another type, or cannot be read.
    """
    house = intake.house
    media_type = media_type_of(request)
    if is_ndjson(media_type):
        await intake.take_lines(lines(request, max_bytes=house.limits.max_body_bytes))
    elif is_json(media_type):
        await intake.take(check_batch(parse(await request.body()), house.limits))
    elif is_multipart(media_type):
        await take_files(request, intake)
    else:
        wanted = ("application/json", "application/x-ndjson", "multipart/form-data")
        raise unsupported(media_type, *wanted)


async def receipt(request: Request, intake: Intake, *, wait: Wait, timeout_s: float) -> Response:
    """Answer a write: 202 with the job, or 200 when it was waited for and is done.

    Raises:
        Problem: 400 when not a single item was accepted; 422 when all of them could be read.
    """
    counted: Metrics = request.app.state.metrics
    counted.took_in(accepted=len(intake.accepted), refused=len(intake.refused))
    if not intake.accepted:
        raise nothing_accepted(intake)
    done = False
    if wait != "no":
        started = time.monotonic()
        async with WhileConnected(request):
            job = await intake.house.dispatch.wait(intake.job_id, wait, timeout_s)
        done = job.pending == 0 and time.monotonic() - started < timeout_s
    outcome = await _outcome(intake) if done else None
    return answer(
        {
            "job_id": intake.job_id,
            "items": _items(intake, outcome),
            "token": str(intake.token),
        },
        status=200 if done else 202,
        headers={"location": f"/v1/jobs/{intake.job_id}"},
    )


def nothing_accepted(intake: Intake) -> Problem:
    """Return the problem of a write without a single good item."""
    if not intake.refused:
        return invalid([{"field": "", "reason": "the body holds no document"}])
    first = intake.refused[0]
    named = f" ({first.doc_id})" if first.doc_id else ""
    where = f", {first.field}" if first.field else ""
    detail = f"item {first.index}{named}{where}: {first.reason}"
    code = "unprocessable" if all(bad.is_readable for bad in intake.refused) else "all_refused"
    return Problem(code, detail, members={"items": _items(intake, None)})


async def _outcome(intake: Intake) -> dict[str, tuple[str, str | None]]:
    """Return state and error of the accepted documents that did not make it."""
    lost = await lost_of(intake.house, intake.job_id)
    return {doc_id: ("failed", error) for doc_id, error in lost.items()}


def _items(intake: Intake, outcome: dict[str, tuple[str, str | None]] | None) -> list[Any]:
    """Return what became of each item, in the order of the request."""
    usual = ("indexed", None) if outcome is not None else ("queued", None)
    states = outcome or {}
    rows: list[tuple[int, dict[str, Any]]] = []
    for place, doc_id in intake.accepted.items():
        status, reason = states.get(doc_id, usual)
        error = {"field": None, "reason": reason} if reason else None
        rows.append((place, {"index": place, "id": doc_id, "status": status, "error": error}))
    for bad in intake.refused:
        error = {"field": bad.field, "reason": bad.reason}
        row = {"index": bad.index, "id": bad.doc_id, "status": "refused", "error": error}
        rows.append((bad.index, row))
    return [row for _, row in sorted(rows, key=lambda pair: pair[0])]


@router.get(
    "/{doc_id:path}",
    summary="Read one document",
    response_model=None,
    responses=answers(DocumentResult, 404, 503),
)
async def read(request: Request, collection: str, doc_id: str) -> Response:
    """Return the newest accepted version; ``searchable`` tells whether searches show it yet."""
    house = house_of(request)
    stored = await house.ledger(Ledger.get, house.collection(collection), doc_id)
    if stored is None:
        raise DocumentNotFoundError(collection, doc_id)
    return answer(document_of(stored), headers={"etag": f'"{stored.version}"'})


@router.patch(
    "/{doc_id:path}",
    summary="Change tags or weight",
    response_model=None,
    responses=answers(PatchResult, 400, 404, 409, 413, 415, 503),
    openapi_extra=takes(PatchBody, example={"tags": {"reviewed": True, "draft": None}}),
)
async def patch(
    request: Request, collection: str, doc_id: str, if_match: MatchHeader = None
) -> Response:
    """Change tags and weight without encoding again; keys are merged, null removes one."""
    house = house_of(request)
    house.collection(collection)
    try:
        body = PatchBody.model_validate(await read_json(request), context=house.limits)
    except ValidationError as error:
        raise invalid(with_hints(faults_of(error), PatchBody)) from None
    version = await house.dispatch.patch(
        doc_id, tags=body.tags, weight=body.weight, if_match=version_of(if_match)
    )
    return answer(
        {"id": doc_id, "version": version, "token": str(version)},
        headers={"etag": f'"{version}"'},
    )


@router.delete(
    "/{doc_id:path}",
    summary="Delete one document",
    response_model=None,
    responses=answers(DeleteResult, 400, 404, 409, 503),
)
async def delete(
    request: Request, collection: str, doc_id: str, if_match: MatchHeader = None
) -> Response:
    """Delete one document; once this answers, no search shows it any more."""
    house = house_of(request)
    house.collection(collection)
    deletion = await house.dispatch.delete([doc_id], if_match=version_of(if_match))
    if not deletion.deleted:
        raise DocumentNotFoundError(collection, doc_id)
    return answer({"deleted": [doc_id], "missing": [], "token": str(deletion.token)})


def document_of(stored: StoredDocument) -> dict[str, Any]:
    """Return a stored document as JSON."""
    document = stored.document
    return {
        "id": document.doc_id,
        **document.content,
        "tags": document.tags,
        "weight": document.weight,
        "version": stored.version,
        "status": stored.state,
        "searchable": stored.live_version is not None,
        "error": stored.error,
        "job_id": stored.job_id,
        "accepted_at": stored.accepted_at,
        "updated_at": stored.updated_at,
    }
