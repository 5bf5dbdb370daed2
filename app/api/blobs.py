"""Contents by their hash: upload once, refer to it in documents and queries, play it back."""

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
    return StreamingResponse(
        _parts(media, name, size),
        media_type=media_type,
        headers={**_HEADERS, "content-length": str(size)},
    )


async def _parts(media: MediaStore, name: str, size: int) -> AsyncIterator[bytes]:
    """Yield a content of an object store part by part."""
    for start in range(0, size, _SLICE):
        end = min(start + _SLICE, size)
        yield await to_thread.run_sync(media.get, name, start, end)
