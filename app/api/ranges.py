"""Bytes that never change, sent whole or in the part that a player asks for (RFC 9110, 13-14)."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from anyio import to_thread
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

#: Bytes that are read and sent at a time.
_SLICE = 1 << 20
_RANGE = re.compile(r"bytes=\s*(\d{0,18})-(\d{0,18})\s*")
_PARTIAL, _NOT_MODIFIED, _UNSATISFIABLE = 206, 304, 416
Read = Callable[[int, int], bytes]


@dataclass(frozen=True, slots=True)
class Content:
    """What is sent: its length, type and name, and how to read from ``start`` to ``end``."""

    size_bytes: int
    media_type: str
    etag: str  # in its quotes; strong, for the bytes never change
    read: Read

    def response(self, request: Request, headers: dict[str, str]) -> Response:
        """Return the answer to GET or HEAD: 200, 206, 304 or 416."""
        headers = {**headers, "etag": self.etag, "accept-ranges": "bytes"}
        if _is_listed(self.etag, request.headers.get("if-none-match")):
            return Response(status_code=_NOT_MODIFIED, headers=headers)
        if request.method == "HEAD":
            headers["content-length"] = str(self.size_bytes)
            return Response(headers=headers, media_type=self.media_type)
        span = _span(request.headers, self.size_bytes, self.etag)
        if span is None:
            return self._part(0, self.size_bytes, 200, headers)
        start, end = span
        if start >= end:
            headers["content-range"] = f"bytes */{self.size_bytes}"
            return Response(status_code=_UNSATISFIABLE, headers=headers)
        headers["content-range"] = f"bytes {start}-{end - 1}/{self.size_bytes}"
        return self._part(start, end, _PARTIAL, headers)

    def _part(self, start: int, end: int, status: int, headers: dict[str, str]) -> Response:
        return StreamingResponse(
            self._slices(start, end),
            status_code=status,
            headers={**headers, "content-length": str(end - start)},
            media_type=self.media_type,
        )

    async def _slices(self, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, end, _SLICE):
            yield await to_thread.run_sync(self.read, at, min(at + _SLICE, end))


def _span(headers: Headers, size: int, etag: str) -> tuple[int, int] | None:
    """Return [start, end) of the one range that is asked for; None to send everything.

    A range of another version, several ranges, or what is no range: everything may be sent.
    """
    given = _RANGE.fullmatch(headers.get("range", ""))
    if given is None or headers.get("if-range", etag) != etag:
        return None
    first, last = given.groups()
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last) + 1, size) if last else size


def _is_listed(etag: str, listed: str | None) -> bool:
    """Tell whether a list of ETags, weak ones among them, names this one."""
    if listed is None:
        return False
    return listed.strip() == "*" or etag in {
        one.strip().removeprefix("W/") for one in listed.split(",")
    }
