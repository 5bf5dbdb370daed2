"""What every request gets, whatever its route: an id, a size limit, and a problem for any failure.

Plain ASGI, because it runs on every search: no wrapped request objects, no tasks.
"""

import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.body import is_multipart, is_ndjson
from app.api.problems import Problem, respond

log = logging.getLogger(__name__)

_WANTED = frozenset((b"x-request-id", b"content-type", b"content-length"))
_REQUEST_ID = re.compile(r"^[\w.:/+=-]{1,128}$")
Observer = Callable[[Scope, int, float], None]
_UPLOADS = "/v1/blobs"
_MOST_DRAINED = 64 * 1024 * 1024


class Envelope:
    """The outermost layer: names the request, bounds its body, and answers what nobody foresaw."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        max_upload_bytes: int | None = None,
        observe: Observer | None = None,
    ) -> None:
        self.app = app
        self._body = ("max_body_bytes", max_body_bytes)
        self._upload = ("max_upload_bytes", max_upload_bytes or max_body_bytes)
        self.observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; only HTTP is wrapped."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = _headers_of(scope)
        answer = _Answer(send, request_id=_request_id(headers))
        scope.setdefault("state", {})["request_id"] = answer.request_id
        started = time.perf_counter()
        try:
            await self._serve(scope, receive, answer, headers)
        except Exception:
            log.exception("request %s to %s failed", answer.request_id, scope["path"])
            if answer.status:
                raise
            detail = f"an unforeseen error; the log has it under request id {answer.request_id}"
            await respond(Problem("internal", detail), scope)(scope, receive, answer)
        finally:
            if self.observe is not None:
                self.observe(scope, answer.status, time.perf_counter() - started)

    async def _serve(
        self, scope: Scope, receive: Receive, answer: "_Answer", headers: Mapping[bytes, str]
    ) -> None:
        """Pass the request on with its body bounded; a stream of lines is bounded by line.

        Contents go to the disk as they come, so they may be longer than what is read into memory.
        """
        media_type = headers.get(b"content-type", "").partition(";")[0].strip().lower()
        if is_ndjson(media_type):
            await self.app(scope, receive, answer)
            return
        is_upload = is_multipart(media_type) or scope["path"] == _UPLOADS
        body = _BoundedBody(receive, *(self._upload if is_upload else self._body))
        if _content_length(headers) > body.limit:
            await body.drain()
            await respond(body.problem(), scope)(scope, receive, answer)
            return
        await self.app(scope, body, answer)


class _Answer:
    """Send, with the request's id in the headers; remembers the status that was sent."""

    def __init__(self, send: Send, *, request_id: str) -> None:
        self.send, self.request_id, self.status = send, request_id, 0

    async def __call__(self, message: Message) -> None:
        """Pass one message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [
                *message.get("headers", ()),
                (b"x-request-id", self.request_id.encode("latin-1")),
                (b"x-content-type-options", b"nosniff"),
            ]
        await self.send(message)


class _BoundedBody:
    """Receive, refusing a body once it has grown past the limit."""

    def __init__(self, receive: Receive, name: str, limit: int) -> None:
        self.receive, self.name, self.limit, self.received = receive, name, limit, 0

    async def __call__(self) -> Message:
        """Return the next message of the client."""
        message = await self.receive()
        if message["type"] == "http.request":
            self.received += len(message.get("body", b""))
            if self.received > self.limit:
                if message.get("more_body", False):
                    await self.drain()
                raise self.problem()
        return message

    async def drain(self) -> None:
        """Read and forget some more of the body, so that the client gets to reading the answer."""
        drained = 0
        while drained <= min(self.limit, _MOST_DRAINED):
            message = await self.receive()
            drained += len(message.get("body", b""))
            if not message.get("more_body", False):
                return

    def problem(self) -> Problem:
        """Return the 413 that names the limit."""
        detail = f"the body has more than {self.limit} bytes, the limit {self.name}"
        return Problem("body_too_large", detail, members={"limit": self.limit})


def _headers_of(scope: Scope) -> dict[bytes, str]:
    """Return the few headers that every request is asked for, the first of each, in one pass."""
    found: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        if name in _WANTED and name not in found:
            found[name] = value.decode("latin-1")
    return found


def _request_id(headers: Mapping[bytes, str]) -> str:
    """Return the client's request id when it is harmless in a header and a log, else a new one."""
    given = headers.get(b"x-request-id", "")
    return given if _REQUEST_ID.match(given) else uuid.uuid4().hex


def _content_length(headers: Mapping[bytes, str]) -> int:
    """Return the announced length of the body; 0 when none or nonsense is announced."""
    given = headers.get(b"content-length", "0")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0  # noqa: PLR2004 - fits 64 bits
