"""Who may do what: two optional API keys, one that may do all and one that may only read.

Deny by default: when a key is set, everything but the pages named here needs one, and every
request that is not known to read needs the key that may write.
"""

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import unquote

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import Problem, respond

_OPEN = frozenset({
    "/", "/healthz", "/livez", "/readyz", "/docs", "/openapi.json", "/favicon.ico",
    "/board", "/board/", "/board/examples",
})  # fmt: skip
_OPEN_PREFIXES = ("/static/", "/problems/")
_MEDIA_PREFIX = "/v1/blobs/"
COOKIE = "gnes-key"
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
#: POST routes that only read, by their last parts; a path with a document id is never a POST.
_READING_POSTS = (
    "/search", "/search/batch", "/recommend", "/scroll", "/count", "/facet",
    "/query", "/v1/encode", "/v1/embeddings", "/board/validate", "/board/render", "/generate",
)  # fmt: skip


class Gate:
    """The layer that asks for a key; without keys in the settings it lets everything through."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        api_key: SecretStr | None,
        read_only_api_key: SecretStr | None,
        origins: Sequence[str] = (),
    ) -> None:
        self.app = app
        self._origins = frozenset(origins)
        self._full = _digest(api_key)
        self._read_only = _digest(read_only_api_key)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 401 or 403."""
        problem = None
        if scope["type"] == "http":
            problem = self._strange_page(scope) or self._refusal(scope)
        if problem is None:
            await self.app(scope, receive, send)
        else:
            await respond(problem, scope)(scope, receive, send)

    def _strange_page(self, scope: Scope) -> Problem | None:
        """Return why a page of another site may not write here, in the name of who reads it."""
        if _is_read(scope):
            return None
        headers = Headers(scope=scope)
        if headers.get("sec-fetch-site") != "cross-site":
            return None
        if self._origins & {"*", headers.get("origin", "")}:
            return None
        detail = "a page of another site may not write here; name it in GNES_CORS_ORIGINS"
        return Problem("forbidden", detail)

    def _refusal(self, scope: Scope) -> Problem | None:
        """Return why this request may not go on; None when it may."""
        is_keyless = self._full is None and self._read_only is None
        if is_keyless or _is_open(scope["path"]):
            return None
        given = _given(Headers(scope=scope), is_medium=_is_medium(scope))
        if _same(given, self._full) or (_same(given, self._read_only) and _is_read(scope)):
            return None
        if _same(given, self._read_only):
            return Problem("forbidden", "this key may only read; use the key that may write")
        if given is None:
            detail = "this deployment asks for a key: Authorization: Bearer <key>, or api-key"
            return _unauthenticated(detail)
        return _unauthenticated("this key is not one of the deployment's keys")


def _unauthenticated(detail: str) -> Problem:
    """Return the 401 with the header that says how to authenticate."""
    return Problem("unauthenticated", detail, headers={"www-authenticate": "Bearer"})


def _digest(key: SecretStr | None) -> bytes | None:
    """Return a digest of fixed length, so that comparing does not tell the length of the key."""
    value = key.get_secret_value() if key else ""
    return hashlib.sha256(value.encode()).digest() if value else None


def _given(headers: Headers, *, is_medium: bool) -> bytes | None:
    """Return the digest of the key that came with the request; None when none came.

    An image or a film on a page cannot send headers: for these the page leaves a cookie.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = token.strip() if scheme.lower() == "bearer" else headers.get("api-key", "")
    if not key and is_medium:
        key = unquote(cookie_parser(headers.get("cookie", "")).get(COOKIE, ""))
    return hashlib.sha256(key.encode()).digest() if key else None


def _same(given: bytes | None, key: bytes | None) -> bool:
    """Compare two digests in a time that does not tell how much of them is equal."""
    return given is not None and key is not None and hmac.compare_digest(given, key)


def _is_medium(scope: Scope) -> bool:
    """Tell whether a content, or a preview of one, is read."""
    return scope["method"] in _READS and str(scope["path"]).startswith(_MEDIA_PREFIX)


def _is_open(path: str) -> bool:
    """Tell whether everybody may see this page: health, documentation and its files."""
    return path in _OPEN or path.startswith(_OPEN_PREFIXES)


def _is_read(scope: Scope) -> bool:
    """Tell whether a request changes nothing."""
    return scope["method"] in _READS or (
        scope["method"] == "POST" and scope["path"].endswith(_READING_POSTS)
    )
