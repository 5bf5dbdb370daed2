"""The Board: write a flow, see it drawn and rendered; and watch the flow that runs.

Under it stands GNES's contract: ``GET /board/`` is the page, ``POST /generate`` takes a form with
``yaml-config``, ``mermaid_direction`` and ``docker-image`` and answers 200, 406 or 400.
"""

import re
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, FastAPI, Request
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException
from starlette.responses import HTMLResponse, Response
from starlette.types import Message

from app.api.body import is_json, media_type_of, parse, unsupported
from app.api.docs import page
from app.api.house import answer, house_of
from app.api.problems import Problem, invalid
from app.api.schemas.base import Input
from app.api.sketch import FILES, Sketch, described
from app.settings import REPOSITORY
from compose.errors import FlowError
from compose.load import load_flow
from compose.render.boxes import queues_of_boxes, resized
from compose.render.svg import svg

router = APIRouter(include_in_schema=False)

T = TypeVar("T")
#: A flow of 64 Ki characters, however its characters are escaped in JSON or in a form.
MAX_BODY_BYTES = 1 << 19
#: Requests that may wait while another one is worked on.
_MAX_WAITING = 16
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_DIRECTIONS: Mapping[str, bool] = {"": False, "top-down": False, "left-right": True}
_IMAGE = re.compile(r"[\w][\w./:@-]{0,199}", re.ASCII)


class FlowBody(Input):
    """A flow to check, and what to render it as."""

    yaml: str
    target: str = "yaml"


class Bench:
    """Where flows of strangers are worked on: one at a time, so that searches keep the process."""

    @cached_property
    def _one(self) -> CapacityLimiter:
        return CapacityLimiter(1)

    async def run(self, work: Callable[[], T]) -> T:
        """Do a piece of work in a thread.

        Raises:
            Problem: 503 when too many wait already.
        """
        if self._one.statistics().tasks_waiting >= _MAX_WAITING:
            raise Problem(
                "overloaded", "the Board has other flows to draw", members={"retry_after": 1}
            )
        return await to_thread.run_sync(work, limiter=self._one)


def install(app: FastAPI) -> None:
    """Serve the Board."""
    app.state.bench = Bench()
    app.include_router(router)


@router.get("/board")
@router.get("/board/")
async def board(request: Request) -> Response:
    """Show the page."""
    collection = house_of(request).plan.collection
    return page("board", "Board", style="board/board.css", collection=collection)


@router.get("/board/examples")
async def examples() -> Response:
    """Return the flows to start from."""
    return answer({"examples": await to_thread.run_sync(_examples)})


@router.get("/board/running")
async def running(request: Request) -> Response:
    """Return the drawing of the flow that runs here, and the queues behind each of its boxes."""
    house = house_of(request)

    plan = house.dispatch.plan if house.opened else house.plan

    def draw() -> dict[str, Any]:
        flow = resized(load_flow(house.config.flow, expand=False), plan)
        drawings = {"svg": svg(flow), "svg_down": svg(flow, down=True)}
        return {**drawings, "boxes": queues_of_boxes(flow, plan)}

    return answer(await to_thread.run_sync(draw))


@router.post("/board/validate")
async def validate(request: Request) -> Response:
    """Return the drawing of a flow, or every fault with its line and column."""
    body = await _flow_of(request)
    return answer(await _work(request, partial(described, body.yaml)))


@router.post("/board/render")
async def render(request: Request) -> Response:
    """Return a flow as one of its targets.

    Raises:
        Problem: 400 that lists the faults of the flow, or names the targets there are.
    """
    body = await _flow_of(request)
    if body.target not in FILES:
        reason = f"nothing is rendered as {body.target[:40]!r}; there are: {', '.join(FILES)}"
        raise invalid([{"field": "target", "reason": reason}])
    try:
        text = await _work(request, lambda: Sketch.of(body.yaml).render(body.target))
    except FlowError as error:
        raise _faulty(error, "yaml") from None
    return answer({"target": body.target, "file": FILES[body.target], "text": text})


@router.post("/generate")
@router.post("/board/generate")
async def generate(request: Request) -> Response:
    """Return the page of a flow, from the form that GNES's Board sent.

    Raises:
        Problem: 406 without a flow in the form, 400 for one with faults.
    """
    form = await _form_of(request)
    text = form.get("yaml-config")
    if not isinstance(text, str):
        raise Problem("not_acceptable", "the form has no text field `yaml-config`")
    direction, image = str(form.get("mermaid_direction", "")), str(form.get("docker-image", ""))
    if direction not in _DIRECTIONS:
        reason = f"{direction[:40]!r} is no direction; send top-down or left-right"
        raise invalid([{"field": "mermaid_direction", "reason": reason}])
    if image and not _IMAGE.fullmatch(image):
        reason = f"{image[:40]!r} is no name of an image, such as registry/name:tag"
        raise invalid([{"field": "docker-image", "reason": reason}])
    left_right = _DIRECTIONS[direction]
    try:
        work = partial(_page, text, left_right=left_right, image=image)
        return HTMLResponse(await _work(request, work), headers=_STANDALONE)
    except FlowError as error:
        raise _faulty(error, "yaml-config") from None


#: The page stands alone: its style and its copy buttons are within.
_STANDALONE = {
    "content-security-policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "referrer-policy": "no-referrer",
}


def _page(text: str, *, left_right: bool, image: str) -> str:
    return Sketch.of(text).page(left_right=left_right, image=image)


def _examples() -> list[dict[str, str]]:
    """Return the flows of this house, by name, with their first line of comment as title."""
    return [
        {"name": path.stem, "yaml": path.read_text(encoding="utf-8")}
        for path in sorted((REPOSITORY / "flows").glob("*.yml"))
    ]


async def _work(request: Request, work: Callable[[], T]) -> T:
    bench: Bench = request.app.state.bench
    return await bench.run(work)


async def _flow_of(request: Request) -> FlowBody:
    media_type = media_type_of(request)
    if not is_json(media_type):
        raise unsupported(media_type, "application/json")
    return FlowBody.read(parse(await _small_body(request)))


async def _form_of(request: Request) -> FormData:
    """Return the form of a request whose body is small.

    Raises:
        Problem: 415 when it is no form, 400 when it is a broken one, 413 when it is too large.
    """
    media_type = media_type_of(request)
    if media_type and media_type not in _FORMS:
        raise unsupported(media_type, *_FORMS)
    body = await _small_body(request)

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    read = Request(request.scope, receive)
    try:
        return await read.form(max_files=1, max_fields=16, max_part_size=MAX_BODY_BYTES)
    except (MultiPartException, UnicodeDecodeError) as error:
        raise invalid([{"field": "", "reason": f"this is no form: {error}"}]) from None


async def _small_body(request: Request) -> bytes:
    """Return the body.

    Raises:
        Problem: 413 when it is larger than any flow.
    """
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            detail = f"a flow has at most {MAX_BODY_BYTES} bytes here"
            raise Problem("body_too_large", detail, members={"limit": MAX_BODY_BYTES})
    return bytes(body)


def _faulty(error: FlowError, field: str) -> Problem:
    """Return the 400 that lists the faults of a flow with their places."""
    return invalid(
        [
            {"field": f"{field}:{fault.line}:{fault.column}", "reason": str(fault)}
            for fault in error.faults
        ]
    )
