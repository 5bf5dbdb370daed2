"""Bytes of a request body to plain values: strictly, so that nothing is silently changed.

orjson already refuses NaN, infinities, invalid UTF-8, lone surrogates and control characters. What
it lets pass is refused here: a key given twice (the last would win), an integer of more digits
than it keeps, a NUL character (PostgreSQL cannot store it), nesting without end.
"""

import json
import re
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import orjson
from starlette.requests import ClientDisconnect, Request

from app.api.problems import Problem

#: Levels of lists and objects in one body; a filter has its own, smaller limit.
MAX_DEPTH = 64
#: Beyond this an integer of JSON becomes a float in orjson, and too large for SQL's integers.
_HUGE = 2**63
#: A list of fractions from this length on is a vector: its numbers become float32 anyway.
_VECTOR_LENGTH = 32
_JSON = re.compile(r"^application/(json|[\w.+-]+\+json)$")
_NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")


def media_type_of(request: Request) -> str:
    """Return the content type without its parameters, in lower case; empty when not given."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Tell whether a body of this content type is read as JSON; none given counts as JSON."""
    return not media_type or _JSON.match(media_type) is not None


def is_ndjson(media_type: str) -> bool:
    """Tell whether a body of this content type is one JSON value a line."""
    return media_type in _NDJSON


def is_multipart(media_type: str) -> bool:
    """Tell whether a body of this content type is a form with files."""
    return media_type == "multipart/form-data"


def unsupported(media_type: str, *readable: str) -> Problem:
    """Return the 415 that names what is read here instead."""
    detail = f"content-type {media_type or '(none)'} is not read here; send {' or '.join(readable)}"
    return Problem("unsupported_media_type", detail)


async def read_json(request: Request) -> Any:
    """Return the JSON value of a request's body.

    Raises:
        Problem: 415 for another content type, 400 for what is not strictly JSON.
    """
    media_type = media_type_of(request)
    if not is_json(media_type):
        raise unsupported(media_type, "application/json")
    return parse(await request.body())


async def lines(request: Request, *, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield the lines of a body as they arrive, without keeping more than one.

    Raises:
        Problem: 413 when one line is longer than ``max_bytes``.
    """
    rest = b""
    try:
        async for part in request.stream():
            *whole, rest = (rest + part).split(b"\n")
            for line in whole:
                yield line
            if len(rest) > max_bytes:
                detail = f"one line has over {max_bytes} bytes, the limit max_body_bytes"
                raise Problem("body_too_large", detail)
    except ClientDisconnect:
        raise Problem("client_closed_request", "the body ended early") from None
    if rest:
        yield rest


def parse(body: bytes) -> Any:
    """Return the value of a JSON text, refusing what would be read otherwise than it was meant.

    Raises:
        Problem: 400 ``invalid_json``, saying where.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "number is infinity" in error.msg:
            _refuse(f"a number too large for a double: {error}")
        _refuse(str(error))
    keys = _count_keys(value, depth=0)
    if body.count(b":") != keys:
        _refuse_twins(body)
    if b"\\u0000" in body and _has_nul(value):
        _refuse("a string holds the NUL character (\\u0000); remove it")
    if _has_huge(value):
        _refuse_long_integers(body)
    return value


def _refuse(detail: str) -> NoReturn:
    """Raise the problem of a body that is not the JSON that we read."""
    raise Problem("invalid_json", detail)


def _count_keys(value: Any, *, depth: int) -> int:
    """Return the number of object keys in a value; lists of numbers are not walked."""
    if depth > MAX_DEPTH:
        _refuse(f"lists and objects nest deeper than {MAX_DEPTH} levels")
    if type(value) is dict:
        inner = sum(
            _count_keys(item, depth=depth + 1)
            for item in value.values()
            if type(item) is dict or type(item) is list
        )
        return len(value) + inner
    if type(value) is list and value and type(value[0]) is not float:
        return sum(
            _count_keys(item, depth=depth + 1)
            for item in value
            if type(item) is dict or type(item) is list
        )
    return 0


def _refuse_twins(body: bytes) -> None:
    """Raise when an object of the body has a key twice; colons inside strings cost this look."""
    json.loads(body, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object, refusing a second value for a key."""
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twin = next(name for name in made if names.count(name) > 1)
        _refuse(f"the key {twin[:80]!r} stands twice in one object; only one value can be kept")
    return made


def _has_huge(value: Any) -> bool:
    """Tell whether a number outside 64 bits stands anywhere but in a vector."""
    if type(value) is dict:
        return any(_has_huge(item) for item in value.values())
    if type(value) is list:
        is_vector = len(value) >= _VECTOR_LENGTH and type(value[0]) is float
        return not is_vector and any(map(_has_huge, value))
    return type(value) in {int, float} and not -_HUGE < value < _HUGE


def _refuse_long_integers(body: bytes) -> None:
    """Raise when an integer lies outside 64 bits, where it would silently become a fraction."""
    json.loads(body, parse_int=_integer)


def _integer(digits: str) -> int:
    """Return an integer of JSON if it fits 64 bits."""
    if len(digits) > 20 or not -_HUGE <= int(digits) < _HUGE:  # noqa: PLR2004 - sign and digits
        _refuse(f"the integer {digits[:40]} does not fit 64 bits; send it as a string")
    return int(digits)


def _has_nul(value: Any) -> bool:
    """Tell whether any string or key of the value holds a NUL character."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any("\x00" in key or _has_nul(item) for key, item in value.items())
    return isinstance(value, list) and any(_has_nul(item) for item in value)
