"""A small synchronous client of our own REST API: what the command line and the demo speak with."""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx2
import orjson

Json = dict[str, Any]
TIMEOUT_S = 60.0
UPLOAD_TIMEOUT_S = 600.0
"""Between two pieces of an upload: a disk may be slow to take a large file."""
RETRIES = 8
LONGEST_WAIT_S = 10.0
BUSY = (429, 503)


class ClientError(Exception):
    """The server could not be asked, or refused."""

    exit_code = 1


class ServerUnreachableError(ClientError):
    """Nobody answers at the server's address."""

    exit_code = 3

    def __init__(self, server: str, reason: str) -> None:
        super().__init__(server, reason)
        self.server, self.reason = server, reason

    def __str__(self) -> str:
        return (
            f"no answer from {self.server} ({self.reason}): start a deployment with `gnes up`, "
            "or name another server with --server or GNES_SERVER"
        )


class RefusedError(ClientError):
    """The server answered with a problem document (RFC 9457)."""

    def __init__(self, status: int, problem: Json) -> None:
        super().__init__(status, problem)
        self.status, self.problem = status, problem

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # of the answer, not of the class
        """Say 3 for a server that is not ready, 1 for all else."""
        return 3 if self.status in BUSY else 1

    def __str__(self) -> str:
        title = self.problem.get("title", f"HTTP {self.status}")
        lines = [f"the server refused: {title} ({self.status})"]
        if detail := self.problem.get("detail"):
            lines[0] += f": {detail}"
        faults = [*(self.problem.get("errors") or []), *(self.problem.get("items") or [])][:20]
        lines += [f"  {fault.get('field') or ''}: {fault.get('reason', fault)}" for fault in faults]
        if request_id := self.problem.get("request_id"):
            lines.append(f"  (request {request_id}; `gnes logs api` may say more)")
        return "\n".join(lines)


class Client:
    """One server, spoken with over one kept-alive connection; a context manager."""

    def __init__(
        self, server: str, *, api_key: str | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        self.server = server.rstrip("/")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key else {}
        self._http = httpx2.Client(base_url=self.server, headers=headers, timeout=timeout_s)
        self._collection: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def collection(self) -> str:
        """Return the name of the server's collection; a deployment has one."""
        if self._collection is None:
            answer = self.call("GET", "/v1/collections")
            self._collection = str(answer["collections"][0]["name"])
        return self._collection

    def add(
        self, collection: str, documents: Sequence[Mapping[str, Any]], *, wait: str = "no"
    ) -> Json:
        """Store documents; a server that is full is waited for, and a repeat does nothing twice."""
        body = orjson.dumps(list(documents))
        key = hashlib.sha256(collection.encode() + body).hexdigest()
        return self.call(
            "POST",
            f"{_path(collection)}/documents",
            body=body,
            query=[("wait", wait)],
            headers={"Idempotency-Key": f"{key[:32]}-{time.time_ns()}"},
            retries=RETRIES,
        )

    def upload(self, path: Path) -> Json:
        """Store the content of a file, as it streams; documents and queries refer to its blob."""
        try:
            with path.open("rb") as file:
                response = self._http.post("/v1/blobs", content=file, timeout=UPLOAD_TIMEOUT_S)
        except httpx2.TransportError as error:
            raise ServerUnreachableError(self.server, _reason(error)) from error
        return _json(response)

    def content(self, path: str) -> bytes:
        """Return what lies at a path that is no JSON: a blob, or a preview of one."""
        try:
            response = self._http.get(path)
        except httpx2.TransportError as error:
            raise ServerUnreachableError(self.server, _reason(error)) from error
        if response.is_error:
            _json(response)
        return bytes(response.content)

    def search(self, collection: str, request: Mapping[str, Any]) -> Json:
        """Ask one question; the request and the answer are the API's."""
        return self.call("POST", f"{_path(collection)}/search", body=orjson.dumps(request))

    def get(self, collection: str, doc_id: str) -> Json:
        """Return one stored document."""
        return self.call("GET", f"{_path(collection)}/documents/{quote(doc_id, safe='')}")

    def delete(self, collection: str, doc_ids: Sequence[str]) -> Json:
        """Delete documents by id; the answer says which there were."""
        body = orjson.dumps({"ids": list(doc_ids)})
        return self.call("POST", f"{_path(collection)}/documents/delete", body=body)

    def job(self, job_id: str) -> Json:
        """Return one job with its counts."""
        return self.call("GET", f"/v1/jobs/{quote(job_id, safe='')}", retries=RETRIES)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        retries: int = 0,
    ) -> Json:
        """Send one request and return the JSON of its answer.

        Raises: ServerUnreachableError: nobody answers; RefusedError: the answer is a problem.
        """
        kind = {"Content-Type": "application/json"} if body is not None else {}
        for attempt in range(retries + 1):
            last = attempt == retries
            try:
                response = self._http.request(
                    method,
                    path,
                    content=body,
                    params=list(query) or None,
                    headers={**kind, **(headers or {})},
                )
            except httpx2.TransportError as error:
                if last:
                    raise ServerUnreachableError(self.server, _reason(error)) from error
                time.sleep(_pause(attempt))
                continue
            if response.status_code not in BUSY or last:
                return _json(response)
            time.sleep(_pause(attempt, response.headers.get("Retry-After")))
        raise AssertionError(path)

    @contextmanager
    def events(self, path: str) -> Iterator[Iterator[str]]:
        """Open a stream of server-sent events and give its data lines."""
        try:
            with self._http.stream("GET", path, timeout=None) as response:
                if response.is_error:
                    response.read()
                    _json(response)
                yield (line[5:].strip() for line in response.iter_lines() if line[:5] == "data:")
        except httpx2.TransportError as error:
            raise ServerUnreachableError(self.server, _reason(error)) from error


def _path(collection: str) -> str:
    return f"/v1/collections/{quote(collection, safe='')}"


def _pause(attempt: int, retry_after: str | None = None) -> float:
    """Return how long to wait before the next attempt: what the server says, or ever longer."""
    try:
        wait_s = float(retry_after or "")
    except ValueError:
        wait_s = 0.1 * 2**attempt
    return min(wait_s, LONGEST_WAIT_S)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _json(response: httpx2.Response) -> Json:
    try:
        answer: Any = orjson.loads(response.content) if response.content else {}
    except orjson.JSONDecodeError:
        answer = {"detail": f"it is not JSON, so this may be no GNES server: {response.text[:200]}"}
        raise RefusedError(response.status_code, answer) from None
    if response.is_error:
        raise RefusedError(response.status_code, answer if isinstance(answer, dict) else {})
    return answer if isinstance(answer, dict) else {"items": answer}
