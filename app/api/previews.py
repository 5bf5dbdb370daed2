"""Previews of media: thumbnails, crops and clips, made by a worker once and kept beside them."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.api.blobs import HEADERS, Name
from app.api.house import House, house_of
from app.api.openapi import answers
from app.api.problems import Problem, invalid
from app.api.ranges import Content
from app.api.schemas.base import Output
from compose.wire import names
from indexstore.media import digest_of

router = APIRouter(prefix="/v1/blobs/{name}", tags=["media"])

#: Previews have one of these sizes, so that of each medium there are few.
SIZES = (96, 192, 320, 512)
#: Seconds that a clip has at most; moving pictures without a codec grow fast.
LONGEST_S: Mapping[str, float] = {"mp4": 60.0, "webp": 15.0, "gif": 15.0, "ogg": 60.0}
TIMEOUT_S = 30.0
_TYPES = {"mp4": "video/mp4", "webp": "image/webp", "gif": "image/gif", "ogg": "audio/ogg"}

SizeQuery = Annotated[
    int, Query(ge=1, le=SIZES[-1], description="longer side, in pixels; rounded up")
]
Seconds = Annotated[float | None, Query(ge=0, le=1e6, allow_inf_nan=False)]


class Preview(Output):
    """What a preview's problems are about; the preview itself is an image, a film or a sound."""


_RESPONSES: dict[int | str, dict[str, Any]] = {
    **answers(Preview, 400, 404, 422, 503, 504),
    200: {"description": "the preview", "content": {"*/*": {}}},
    206: {"description": "the part that Range asks for", "content": {"*/*": {}}},
    304: {"description": "the client has it already"},
}


@router.api_route(
    "/thumbnail",
    methods=["GET", "HEAD"],
    summary="See a medium small",
    response_class=Response,
    responses=_RESPONSES,
)
async def thumbnail(
    request: Request,
    name: Name,
    size: SizeQuery = 192,
    box: Annotated[
        str | None,
        Query(pattern=r"^\d{1,6}(,\d{1,6}){3}$", description="x0,y0,x1,y1: a part of an image"),
    ] = None,
    at: Seconds = None,
) -> Response:
    """Return a WebP image: of an image, or a part of it; of a film, the frame at ``at`` seconds; of
    a sound, how loud it is over time.
    """  # noqa: D205 - one sentence
    corners = None if box is None else [int(number) for number in box.split(",")]
    if corners is not None and not (corners[0] < corners[2] and corners[1] < corners[3]):
        raise invalid([{"field": "box", "reason": "expected x0 < x1 and y0 < y1"}])
    when = None if at is None else round(at, 1)
    part = "" if box is None else f"-{box}"
    part += "" if when is None else f"-at{when:.1f}"
    wanted = {"size": _size(size), "box": corners, "at": when}
    return await _preview(request, name, f"thumb-{_size(size)}{part}.webp", wanted, "image/webp")


@router.api_route(
    "/clip",
    methods=["GET", "HEAD"],
    summary="Play a moment of a film or a sound",
    response_class=Response,
    responses=_RESPONSES,
)
async def clip(
    request: Request,
    name: Name,
    start: Annotated[float, Query(alias="from", ge=0, le=1e6, allow_inf_nan=False)] = 0.0,
    end: Annotated[Seconds, Query(alias="to")] = None,
    format: Literal["mp4", "webp", "gif", "ogg"] = "mp4",  # noqa: A002 - a name of the interface
    size: SizeQuery = 320,
) -> Response:
    """Return the seconds ``from`` to ``to``, encoded anew: mp4 with sound, webp or gif as moving
    pictures, ogg for the sound alone.
    """  # noqa: D205 - one sentence
    longest = LONGEST_S[format]
    first = round(start, 1)
    last = round(first + min(10.0, longest) if end is None else end, 1)
    if not first < last <= first + longest:
        reason = f"expected more than `from`, and at most {longest:g} s after it"
        raise invalid([{"field": "to", "reason": reason}])
    recipe = f"clip-{first:.1f}-{last:.1f}-{_size(size)}.{format}"
    wanted = {"size": _size(size), "kind": format, "span": [first, last]}
    return await _preview(request, name, recipe, wanted, _TYPES[format])


async def _preview(
    request: Request, name: str, recipe: str, wanted: Mapping[str, Any], media_type: str
) -> Response:
    house = house_of(request)
    if not house.plan.takes_media:
        raise Problem("unprocessable", "this flow takes no media, so nobody makes previews of them")
    data = await to_thread.run_sync(house.media.previews.get, digest_of(name), recipe)
    if data is None:
        await to_thread.run_sync(house.media.size_bytes, name)  # a 404 needs no worker
        gallery: Gallery = request.app.state.gallery
        data = await gallery.make(house, {**wanted, "blob": name, "recipe": recipe})
    content = Content(len(data), media_type, f'"{digest_of(name)}/{recipe}"', partial(_part, data))
    return content.response(request, HEADERS)


class Gallery:
    """Has previews made; who asks for one that is being made waits for the same."""

    def __init__(self) -> None:
        self._making: dict[tuple[str, str], asyncio.Task[bytes]] = {}

    async def make(self, house: House, wanted: Mapping[str, Any]) -> bytes:
        """Return a preview that a worker makes.

        Raises:
            NotReadyError, StageError, DeadlineError: as for a search.
        """
        key = (str(wanted["blob"]), str(wanted["recipe"]))
        task = self._making.get(key)
        if task is None:
            task = asyncio.create_task(_made(house, wanted))
            self._making[key] = task
            task.add_done_callback(partial(self._made, key))
        return await asyncio.shield(task)

    def _made(self, key: tuple[str, str], task: "asyncio.Task[bytes]") -> None:
        """Forget a task that has ended; its error is told to who still waits."""
        self._making.pop(key, None)
        if not task.cancelled():
            task.exception()


async def _made(house: House, wanted: Mapping[str, Any]) -> bytes:
    (data,) = await house.dispatch.media_task(
        names.PREVIEW, names.PREVIEW_QUEUE, wanted, timeout_s=TIMEOUT_S
    )
    return bytes(data)


def _part(data: bytes, start: int, end: int) -> bytes:
    return data[start:end]


def _size(wanted: int) -> int:
    return next(size for size in SIZES if size >= wanted)
