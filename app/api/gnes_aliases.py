"""GNES's own routes on the default collection: ``POST /index`` and ``POST /query``.

As GNES's HTTP client did, they take multipart forms (``docs``: one file a document; ``query``: a
file, or one of each kind) and answer ``{"result": ..., "meta": null}``; JSON bodies are those of
the /v1 routes.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.datastructures import UploadFile
from starlette.responses import Response

from app.api import following, training
from app.api.body import is_multipart, media_type_of, read_json
from app.api.documents import KeyHeader, TimeoutQuery, WaitQuery, accept
from app.api.house import House, answer, house_of
from app.api.media import MediaRefusedError, modality_of, stored_file
from app.api.openapi import answers
from app.api.problems import Problem
from app.api.schemas.base import Output
from app.api.schemas.search import SearchBody
from app.api.search import run
from app.api.uploads import parts_of
from compose.planning import modalities_of

router = APIRouter(tags=["GNES aliases"])


class GnesResult(Output):
    """GNES's frame around an answer."""

    result: dict[str, Any]
    meta: None


def _form(field: str, *, many: bool) -> dict[str, Any]:
    """Describe a body that is a form with files, or JSON."""
    file = {"type": "string", "description": "a file, or the text itself"}
    files = {"type": "array", "items": file, "minItems": 1} if many else file
    form = {"type": "object", "required": [field], "properties": {field: files}}
    content = {
        "multipart/form-data": {"schema": form},
        "application/json": {"schema": {"description": "as the route under /v1 takes it"}},
    }
    return {"requestBody": {"required": True, "content": content}}


@router.post(
    "/index",
    summary="Write documents, as GNES did",
    response_model=None,
    responses=answers(
        GnesResult, 400, 409, 413, 415, 422, 503, status=202, also={200: "done, as waited for"}
    ),
    openapi_extra=_form("docs", many=True),
)
async def index(
    request: Request,
    wait: WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
    idempotency_key: KeyHeader = None,
) -> Response:
    """Store one document per uploaded file ``docs``; its name becomes the tag ``filename``."""
    written = await accept(request, wait=wait, timeout_s=timeout, idempotency_key=idempotency_key)
    return _framed(written)


@router.post(
    "/train",
    summary="Train, as GNES did",
    response_model=None,
    responses=answers(GnesResult, 400, 409, 413, 415, 422, 503, status=202, also={200: "trained"}),
    openapi_extra=_form("docs", many=True),
)
async def train(
    request: Request,
    wait: following.WaitQuery = "no",
    timeout: TimeoutQuery = 60.0,  # noqa: ASYNC109 - a name of the interface
) -> Response:
    """Train the flow's components on one document per uploaded file ``docs``; none is stored."""
    return _framed(await training.start(request, wait=wait, timeout_s=timeout))


@router.post(
    "/query",
    summary="Search, as GNES did",
    response_model=None,
    responses=answers(GnesResult, 400, 413, 415, 422, 503, 504),
    openapi_extra=_form("query", many=True),
)
async def query(
    request: Request,
    limit: Annotated[int | None, Query(ge=1, description="documents to return")] = None,
    top_k: Annotated[int | None, Query(ge=1, description="GNES's word for limit")] = None,
) -> Response:
    """Search by uploaded files ``query``, several of different kinds together, or by JSON."""
    if is_multipart(media_type_of(request)):
        async with request.form() as form:
            body: Any = {"query": await _parts(parts_of(form, "query"), house_of(request))}
    else:
        body = await read_json(request)
    wanted = limit or top_k
    if isinstance(body, dict):
        text = body.get("query")
        body |= {"query": {"text": text}} if isinstance(text, str) else {}
        body |= {"limit": wanted} if wanted else {}
    return _framed(await run(SearchBody.read(body), request))


async def _parts(parts: Sequence[UploadFile | str], house: House) -> dict[str, Any]:
    """Return the files of a form as the query that they are.

    Raises:
        Problem: 422 when one is neither a medium nor text, or two are of one kind.
    """
    found: dict[str, Any] = {}
    for part in parts:
        kind, content = ("text", part) if isinstance(part, str) else await _read(part, house)
        if kind in found:
            raise Problem("unprocessable", f"query: two parts are {kind}; send one of each kind")
        found[kind] = content
    return found


async def _read(part: UploadFile, house: House) -> tuple[str, Any]:
    """Return the kind and the content of a file, as a query's JSON has them."""
    try:
        blob, text = await to_thread.run_sync(
            stored_file, part.file, part.filename or "query", house.media
        )
    except MediaRefusedError as error:
        raise Problem("unprocessable", f"query: {error}") from None
    if blob is None:
        return "text", text
    return modality_of(blob, modalities_of(house.plan)), {"blob": blob.name}


def _framed(response: Response) -> Response:
    """Put GNES's frame around an answer of ours."""
    framed = {"result": orjson.Fragment(bytes(response.body)), "meta": None}
    headers = {k: v for k, v in response.headers.items() if k == "location"}
    return answer(framed, status=response.status_code, headers=headers)
