"""The client waits for a server that is full, and puts every refusal into words."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.client import Client, RefusedError, ServerUnreachableError
from app.feed import batches
from app.supervisor.broker import free_port

Answer = tuple[int, dict[str, str], Any]


class Scripted(ThreadingHTTPServer):
    """A server that gives the answers it was told, one a request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, str, dict[str, str]]] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        """Give the next answer."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers)))
        status, headers, body = self.server.answers.pop(0)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    do_POST = do_GET  # noqa: N815 - the base class names them so

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A scripted server on a free port."""
    with Scripted() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_a_full_server_is_waited_for(server: Scripted) -> None:
    """503 with Retry-After is no failure of a write: it is sent again, under the same key."""
    server.answers = [(503, {"Retry-After": "0.05"}, {}), (202, {}, {"job_id": "j", "items": []})]

    with Client(server.url) as client:
        receipt = client.add("text", [{"text": "a"}])

    keys = [headers["Idempotency-Key"] for _, _, headers in server.seen]
    assert receipt["job_id"] == "j"
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_a_refusal_says_title_detail_and_faults(server: Scripted) -> None:
    """The problem document becomes one readable text."""
    problem = {
        "title": "The request has faults",
        "detail": "1 fault",
        "errors": [{"field": "limit", "reason": "at least 1"}],
        "request_id": "r1",
    }
    server.answers = [(400, {}, problem)]

    with Client(server.url) as client, pytest.raises(RefusedError) as caught:
        client.search("text", {"limit": 0})

    assert "The request has faults (400): 1 fault" in str(caught.value)
    assert "limit: at least 1" in str(caught.value)
    assert caught.value.exit_code == 1


def test_another_kind_of_server_is_recognised(server: Scripted) -> None:
    """A page that is no JSON is said to be none, not parsed into a traceback."""
    server.answers = [(200, {}, b"<html>hello</html>")]

    with Client(server.url) as client, pytest.raises(RefusedError, match="may be no GNES server"):
        client.collection()


def test_no_server_is_said_with_the_cure() -> None:
    """Nobody there: the address, and how to start one."""
    with (
        Client(f"http://127.0.0.1:{free_port()}") as client,
        pytest.raises(ServerUnreachableError, match="gnes up"),
    ):
        client.get("text", "a")


def test_ids_are_quoted(server: Scripted) -> None:
    """An id may hold slashes and question marks."""
    server.answers = [(200, {}, {"id": "a/b?c"})]

    with Client(server.url, api_key="k") as client:
        client.get("text", "a/b?c")

    method, path, headers = server.seen[0]
    assert (method, path) == ("GET", "/v1/collections/text/documents/a%2Fb%3Fc")
    assert headers["Authorization"] == "Bearer k"


def test_batches_are_bounded_in_number_and_bytes() -> None:
    """Neither many small documents nor a few large ones make a request too large."""
    small = list(batches([{"text": "x"}] * 5, 2))
    large = list(batches([{"text": "x" * 60}, {"image": {"base64": "y" * 60}}] * 2, 100, 100))

    assert [len(batch) for batch in small] == [2, 2, 1]
    assert [len(batch) for batch in large] == [2, 2]
