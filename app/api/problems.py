"""Problem documents (RFC 9457): the one shape in which this API says what went wrong.

Every problem has a ``code`` of the table below; its ``type`` is a page served here that explains
the code, its ``detail`` says what, where and how to mend it.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.types import Scope

from app import tracing
from app.dispatch.errors import DeadlineError, DispatchError, StageError
from indexstore.errors import IndexStoreError

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Kind:
    """What all problems of one code share: status, title, and a sentence on what to do."""

    status: int
    title: str
    remedy: str


_SEE = "The detail says what, where, and how to mend it."


KINDS: Mapping[str, Kind] = {
    "invalid_json": Kind(400, "The body is not valid JSON", "Send UTF-8 JSON without NaN."),
    "invalid_request": Kind(400, "The request has faults", "Mend the fields listed in `errors`."),
    "all_refused": Kind(400, "No document was accepted", "Mend the items listed in `items`."),
    "client_closed_request": Kind(
        499, "The client went away", "Nobody reads this: the connection was closed."
    ),
    "unauthenticated": Kind(
        401, "An API key is needed", "Send `Authorization: Bearer <key>` or `api-key: <key>`."
    ),
    "forbidden": Kind(403, "This key may not do that", "Use the key that may write."),
    "route_not_found": Kind(404, "No such route", "See /docs for the routes there are."),
    "not_acceptable": Kind(
        406, "The form lacks a field", "Send the flow's text in the field `yaml-config`."
    ),
    "method_not_allowed": Kind(405, "Not this method", "Use a method of the `Allow` header."),
    "conflict": Kind(409, "The state does not allow this", _SEE),
    "body_too_large": Kind(
        413, "The body is too large", "Send less at a time, or stream NDJSON for documents."
    ),
    "too_many_items": Kind(413, "Too many items", "Send them in several requests, or as NDJSON."),
    "unsupported_media_type": Kind(
        415, "This content type is not read here", "Send the `content-type` that the detail names."
    ),
    "unprocessable": Kind(422, "The content cannot be worked on", _SEE),
    "backlog": Kind(
        429, "Segments are built too slowly for these writes", "Repeat after `Retry-After` seconds."
    ),
    "overloaded": Kind(503, "Too much is waiting already", "Repeat after `Retry-After` seconds."),
    "not_ready": Kind(
        503, "The deployment is not ready", "GET /readyz?verbose=1 says what is missing."
    ),
    "deadline": Kind(
        504, "No answer within the deadline", "Allow more time, or start workers for that queue."
    ),
    "stage_failed": Kind(500, "A step failed", "See the detail; the worker's log has more."),
    "internal": Kind(500, "Something broke here", "Report it with its request_id."),
}


def kinds() -> dict[str, Kind]:
    """Return the kinds of all problems: ours, and those that the index store's errors bring."""
    return _of(IndexStoreError) | dict(KINDS)


def _of(error: type[IndexStoreError]) -> dict[str, Kind]:
    """Return the kinds of the errors below this class: code, status and docstring say all."""
    found: dict[str, Kind] = {}
    for below in error.__subclasses__():
        title = (below.__doc__ or "").split("\n")[0].rstrip(".")
        found |= {below.code: Kind(below.status, title, _SEE), **_of(below)}
    return found


class Problem(Exception):  # noqa: N818 - RFC 9457 calls it so
    """A request that cannot be answered, and why; becomes a problem document.

    ``members`` are further members of the document, such as ``errors``, ``items``, ``stage`` or
    ``retry_after``; those that are None are left out.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        status: int | None = None,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(code, detail)
        self.code, self.detail = code, detail
        self.kind = KINDS[code] if code in KINDS else kinds()[code]
        self.status = self.kind.status if status is None else status
        self.headers = dict(headers or {})
        self.members = {k: v for k, v in (members or {}).items() if v is not None}

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"

    def document(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """Return the problem document that is sent."""
        return {
            "type": f"/problems/{self.code}",
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "request_id": request_id,
            **self.members,
        }


def request_id_of(scope: Scope) -> str:
    """Return the id that the envelope gave this request."""
    return str(scope.get("state", {}).get("request_id", ""))


def respond(problem: Problem, scope: Scope) -> Response:
    """Render a problem as the answer to the request of this scope."""
    request_id = request_id_of(scope)
    document = problem.document(instance=str(scope.get("path", "")), request_id=request_id)
    tracing.note_problem(problem.code, request_id=request_id, members=problem.members)
    return Response(
        orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def faults_of(error: ValidationError | RequestValidationError) -> list[dict[str, str]]:
    """Return ``{field, reason}`` for each fault that pydantic found, in the words of the sender."""
    return [
        {"field": field_path(fault["loc"]), "reason": _reason(fault)} for fault in error.errors()
    ]


def field_path(location: Sequence[str | int]) -> str:
    """Return a place in a body as its sender would write it: ``filter.must[0].key``.

    >>> field_path(("filter", "must", 0, "key"))
    'filter.must[0].key'
    """
    path = ""
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else str(part)
    return path


#: Pydantic's faults whose own words speak of Python rather than of JSON.
_WORDS: Mapping[str, str] = {
    "extra_forbidden": "there is no such field",
    "missing": "this field is needed",
    "model_type": "expected an object",
    "model_attributes_type": "expected an object",
    "dict_type": "expected an object",
    "list_type": "expected a list",
    "string_type": "expected a string",
    "int_type": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
}


def _reason(fault: Mapping[str, Any]) -> str:
    """Return one fault as a sentence; our own validators' words come without pydantic's prefix."""
    known = _WORDS.get(fault["type"])
    if known is not None:
        return known
    message = str(fault["msg"])
    return message.removeprefix("Value error, ").removeprefix("Assertion failed, ")


def invalid(faults: Sequence[Mapping[str, str]]) -> Problem:
    """Return the 400 that lists these faults, and names the first in its detail."""
    first = faults[0]
    where = f"{first['field']}: " if first["field"] else ""
    more = f" (and {len(faults) - 1} more, see errors)" if len(faults) > 1 else ""
    return Problem("invalid_request", f"{where}{first['reason']}{more}", members={"errors": faults})


def install(app: FastAPI) -> None:
    """Let every error of this application end as a problem document."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(IndexStoreError, _on_store)
    app.add_exception_handler(DispatchError, _on_dispatch)


async def _on_problem(request: Request, error: Exception) -> Response:
    """Answer with the problem that a route raised."""
    assert isinstance(error, Problem)  # noqa: S101 - by registration
    return respond(error, request.scope)


async def _on_dispatch(request: Request, error: Exception) -> Response:
    """Answer what the way to the workers could not do."""
    assert isinstance(error, DispatchError)  # noqa: S101 - by registration
    return respond(of_dispatch(error), request.scope)


def of_dispatch(error: DispatchError) -> Problem:
    """Return the problem of a request that got no answer from the workers."""
    members: dict[str, Any] = {"retry_after": getattr(error, "retry_after_s", None)}
    status, code = error.status, error.code
    if isinstance(error, DeadlineError):
        members |= {"stage": error.stage, "queue": error.queue}
    if isinstance(error, StageError):
        members["stage"], status = error.stage, error.status_code
        if status < 500:  # noqa: PLR2004 - whose fault it is
            code = "conflict" if status == 409 else "unprocessable"  # noqa: PLR2004 - untrained
    retry = members["retry_after"]
    headers = {"retry-after": str(max(1, math.ceil(retry)))} if retry else None
    return Problem(code, str(error), status=status, headers=headers, members=members)


async def _on_store(request: Request, error: Exception) -> Response:
    """Answer what the ledger or an index refuses; its class carries status and code."""
    assert isinstance(error, IndexStoreError)  # noqa: S101 - by registration
    return respond(of_store(error), request.scope)


def of_store(error: IndexStoreError) -> Problem:
    """Return the problem of an error of the index store."""
    retry = 1 if error.status == 503 else None  # noqa: PLR2004 - the status says it
    headers = {"retry-after": "1"} if retry else None
    return Problem(error.code, str(error), headers=headers, members={"retry_after": retry})


async def _on_validation(request: Request, error: Exception) -> Response:
    """Answer faults in path, query or headers, found by FastAPI before the route."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - by registration
    faults = [
        {"field": field_path(fault["loc"][1:]) or str(fault["loc"][0]), "reason": _reason(fault)}
        for fault in error.errors()
    ]
    return respond(invalid(faults), request.scope)


def _methods_at(request: Request) -> list[str]:
    """Return every method that this path takes; the router names those of one route only."""
    app: FastAPI = request.app
    scope = {"type": "http", "path": request.url.path, "headers": [], "root_path": ""}
    return [
        method
        for method in ("GET", "POST", "PATCH", "DELETE")
        if any(
            r.matches({**scope, "method": method})[0] is Match.FULL
            for r in app.routes
            if method == "GET" or not isinstance(r, Mount)  # files are only read
        )
    ]


async def _on_http(request: Request, error: Exception) -> Response:
    """Answer what the router itself refuses: unknown paths and methods."""
    assert isinstance(error, HTTPException)  # noqa: S101 - by registration
    headers = dict(error.headers or {})
    path, method = request.url.path, request.method
    if error.status_code == 405:  # noqa: PLR2004 - the status says it
        allowed = ", ".join(_methods_at(request))
        detail = f"{path} takes {allowed}, not {method}"
        problem = Problem("method_not_allowed", detail, headers={"allow": allowed})
    elif error.status_code == 404:  # noqa: PLR2004 - the status says it
        problem = Problem("route_not_found", f"there is nothing at {path}")
    else:
        code = "invalid_request" if error.status_code < 500 else "internal"  # noqa: PLR2004
        problem = Problem(code, str(error.detail), status=error.status_code, headers=headers)
    return respond(problem, request.scope)
