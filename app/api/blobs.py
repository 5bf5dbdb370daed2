"""Contents by their hash: upload once, refer to it in documents and queries, play it back."""

import re
from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Path, Request
from starlette.responses import FileResponse, Response, StreamingResponse

from app.api.house import answer, house_of
from app.api.openapi import answers
from app.api.problems import Problem
from app.api.schemas.base import Output
from indexstore.media import Blob, MediaStore, sniff

router = APIRouter(prefix="/v1/blobs", tags=["media"])

#: Bytes read from an object store at a time.
_SLICE = 1 << 20
_SNIFFED_BYTES = 8_192
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
#: A content never changes under its name; it is data, whatever a browser might take it for.
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
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

    What nothing refers to is forgotten after a while.
    """
    data = await request.body()
    if not data:
        raise Problem("invalid_request", "the body is empty; send the bytes of one medium")
    blob: Blob = await to_thread.run_sync(house_of(request).media.put, data)
    location = {"location": f"/v1/blobs/{blob.name}"}
    result = {
        "blob": blob.name,
        "size_bytes": blob.size_bytes,
        "media_type": blob.media_type,
        "modality": blob.modality,
    }
    return answer(result, status=201, headers=location)


@router.get(
    "/{name}",
    summary="Read a content",
    response_class=FileResponse,
    responses={
        **answers(BlobResult, 400, 404),
        200: {"description": "the bytes", "content": {"*/*": {}}},
        206: {"description": "the range of them that was asked for", "content": {"*/*": {}}},
    },
)
async def read(request: Request, name: Name) -> Response:
    """Return the bytes of a content, or the range of them that a player asks for."""
    media = house_of(request).media
    size = await to_thread.run_sync(media.size_bytes, name)
    media_type = await to_thread.run_sync(lambda: sniff(media.get(name, 0, _SNIFFED_BYTES)))
    path = await to_thread.run_sync(media.local_path, name)
    if path is not None:
        return FileResponse(path, media_type=media_type, headers=_HEADERS)
    return _streamed(media, name, size, (media_type, request.headers.get("range", "")))


def _streamed(media: MediaStore, name: str, size: int, how: tuple[str, str]) -> Response:
    """Answer with a content of an object store, or the part of it that was asked for."""
    media_type, asked = how
    span = range_of(asked, size)
    if span is not None and not span:
        return Response(status_code=416, headers={"content-range": f"bytes */{size}"})
    sent = range(size) if span is None else span
    headers = {**_HEADERS, "accept-ranges": "bytes", "content-length": str(len(sent))}
    if span is not None:
        headers["content-range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
    status = 200 if span is None else 206
    parts = _parts(media, name, sent)
    return StreamingResponse(parts, media_type=media_type, status_code=status, headers=headers)


def range_of(header: str, size: int) -> range | None:
    """Return the bytes that a ``Range`` header wants, none beyond the end; None: all of them.

    Several ranges at once are answered by the whole, as RFC 9110 allows.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return range(max(0, size - int(last)), size)
    return range(int(first), min(int(last) + 1, size) if last else size)


async def _parts(media: MediaStore, name: str, span: range) -> AsyncIterator[bytes]:
    """Yield a part of an object store's content, slice by slice."""
    for start in range(span.start, span.stop, _SLICE):
        end = min(start + _SLICE, span.stop)
        yield await to_thread.run_sync(media.get, name, start, end)
