"""Every request, whatever its route, has an id, a bounded body, and an answer for any failure."""

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.api import problems
from app.api.envelope import Envelope
from app.api.problems import Problem


async def size(request: Request) -> Response:
    """Answer with the length of the body."""
    return PlainTextResponse(str(len(await request.body())))


async def broken(_request: Request) -> Response:
    """Fail with something that must not reach the client."""
    secret = "the password is hunter2"  # noqa: S105 - what must not leak
    raise RuntimeError(secret)


async def half(_request: Request) -> Response:
    """Fail after the answer has begun."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"one"
        message = "broken off"
        raise RuntimeError(message)

    return StreamingResponse(parts())


@pytest.fixture
def client() -> TestClient:
    """Give a client of three small routes inside the envelope, with a limit of 1000 bytes."""
    routes = [
        Route("/size", size, methods=["POST"]),
        Route("/broken", broken),
        Route("/half", half),
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Envelope, max_body_bytes=1_000)],
        exception_handlers={Problem: problems._on_problem},
    )
    return TestClient(app, raise_server_exceptions=False)


def test_a_harmless_request_id_is_kept(client: TestClient) -> None:
    """A caller can find its own id in our logs."""
    answer = client.post("/size", content=b"abc", headers={"x-request-id": "a-1"})

    assert answer.headers["x-request-id"] == "a-1"


@pytest.mark.parametrize("given", ["", "a" * 200, "a b", "<script>"])
def test_a_harmful_request_id_is_replaced(client: TestClient, given: str) -> None:
    """What could forge a log line or a header never comes back."""
    answer = client.post("/size", content=b"abc", headers={"x-request-id": given})

    assert len(answer.headers["x-request-id"]) == 32


def test_an_announced_body_over_the_limit_is_refused_by_name(client: TestClient) -> None:
    """413 says the limit and the setting that holds it."""
    answer = client.post("/size", content=b"x" * 1_001)

    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["code"] == "body_too_large"
    assert "1000 bytes, the limit max_body_bytes" in answer.json()["detail"]
    assert answer.json()["limit"] == 1_000


def test_a_chunked_body_over_the_limit_is_refused_too(client: TestClient) -> None:
    """A body without a length is counted as it comes."""
    answer = client.post("/size", content=iter([b"x" * 600, b"x" * 600]))

    assert answer.status_code == 413


def test_a_body_of_lines_may_be_longer(client: TestClient) -> None:
    """NDJSON is bounded by the line, so that a stream may be of any length."""
    answer = client.post(
        "/size", content=b"{}\n" * 500, headers={"content-type": "application/x-ndjson"}
    )

    assert (answer.status_code, answer.text) == (200, "1500")


def test_an_unforeseen_error_is_a_problem_without_its_text(client: TestClient) -> None:
    """The client gets the request id; the log gets the rest."""
    answer = client.get("/broken", headers={"x-request-id": "r-7"})

    assert answer.status_code == 500
    assert answer.headers["x-request-id"] == "r-7"
    assert answer.json()["code"] == "internal"
    assert answer.json()["request_id"] == "r-7"
    assert "hunter2" not in answer.text
    assert "Traceback" not in answer.text


def test_an_answer_that_broke_off_is_not_answered_twice(client: TestClient) -> None:
    """When the status is out, a failure can only end the connection."""
    answer = client.get("/half")

    assert answer.content == b"one"
