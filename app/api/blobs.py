"""Contents by their hash: upload once, refer to it in documents and queries, play it back."""

from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from app.api.house import answer, house_of
from app.api.openapi import answers
from app.api.problems import Problem
from app.api.ranges import Content
from app.api.schemas.base import Output
from indexstore.incoming import Blob, Incoming

router = APIRouter(prefix="/v1/blobs", tags=["media"])

#: Bytes that are gathered before they are written and hashed in a thread.
_GATHERED = 1 << 20
#: A content never changes under its name; it is data, whatever a browser might take it for.
HEADERS = {
    "cache-control": "private, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'; sandbox",
}
_BODY = {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}
Name = Annotated[str, Path(pattern=r"^sha256:[0-9a-f]{64}$")]


class BlobResult(Output):
    """A stored content; ``modality`` is null when it is no medium."""

    blob: str
    size_bytes: int
    media_type: str
    modality: str | None


@router.post(
    "",
    summary="Store a content",
    response_model=None,
    responses=answers(BlobResult, 400, 413, 507, status=201),
    openapi_extra={"requestBody": _BODY},
)
async def store(request: Request) -> Response:
    """Store the body as it is; documents refer to it as ``{"image": {"blob": "sha256:..."}}``.

    It is written as it comes, however long it is. What nothing refers to is forgotten after a day.
    """
    with await to_thread.run_sync(house_of(request).media.incoming) as incoming:
        blob = await _received(request, incoming)
    result = {
        "blob": blob.name,
        "size_bytes": blob.size_bytes,
        "media_type": blob.media_type,
        "modality": blob.modality,
    }
    return answer(result, status=201, headers={"location": f"/v1/blobs/{blob.name}"})


async def _received(request: Request, incoming: Incoming) -> Blob:
    """Write a body into the store.

    Raises:
        Problem: it is empty, or ended early.
    """
    gathered = bytearray()
    try:
        async for piece in request.stream():
            gathered += piece
            if len(gathered) >= _GATHERED:
                await to_thread.run_sync(incoming.write, bytes(gathered))
                gathered.clear()
    except ClientDisconnect:
        raise Problem("client_closed_request", "the body ended early") from None
    await to_thread.run_sync(incoming.write, bytes(gathered))
    if not incoming.size_bytes:
        raise Problem("invalid_request", "the body is empty; send the bytes of one medium")
    return await to_thread.run_sync(incoming.keep)


@router.api_route(
    "/{name}",
    methods=["GET", "HEAD"],
    summary="Read a content",
    response_class=Response,
    responses={
        **answers(BlobResult, 400, 404),
        200: {"description": "the bytes", "content": {"*/*": {}}},
        206: {"description": "the part that Range asks for", "content": {"*/*": {}}},
        304: {"description": "the client has it already"},
        416: {"description": "there is no such part"},
    },
)
async def read(request: Request, name: Name) -> Response:
    """Return the bytes of a content, or the range of them that a player asks for."""
    media = house_of(request).media
    blob = await to_thread.run_sync(media.describe, name)
    content = Content(blob.size_bytes, blob.media_type, f'"{name}"', partial(media.get, name))
    return content.response(request, HEADERS)
