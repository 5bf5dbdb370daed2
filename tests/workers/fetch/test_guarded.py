"""Downloads reach the public internet and nothing else, and end in bounded size and time."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from indexstore.media import MediaStore
from tests.app.api.test_media import png
from workers.errors import ContentError
from workers.fetch.guarded import FetchRules, fetch_into

OWN_NETWORK = FetchRules(
    max_bytes=100_000, timeout_s=2.0, max_redirects=2, allowed_networks=("127.0.0.1/32", "::1/128")
)
LARGE = png() + bytes(200_000)


class Handler(BaseHTTPRequestHandler):
    """A server with a page for each trap."""

    tries = 0

    def do_GET(self) -> None:
        """Answer by path."""
        pages: dict[str, Callable[[], None]] = {
            "/ok": lambda: self._send(png()),
            "/page": lambda: self._send(b"<html>" + b"words " * 5000),
            "/empty": lambda: self._send(b""),
            "/large": lambda: self._send(LARGE),
            "/loop": lambda: self._redirect("/loop"),
            "/once": lambda: self._redirect("/ok"),
            "/inwards": lambda: self._redirect("http://127.0.0.2/secret"),
            "/metadata": lambda: self._redirect("http://169.254.169.254/latest/meta-data/"),
            "/file": lambda: self._redirect("file:///etc/passwd"),
            "/host": lambda: self._send(png() + self.headers["host"].encode()),
            "/endless": self._endless,
            "/drip": self._drip,
            "/busy": self._busy,
        }
        pages.get(self.path, lambda: self.send_error(404))()

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def _redirect(self, to: str) -> None:
        self.send_response(302)
        self.send_header("location", to)
        self.end_headers()

    def _endless(self) -> None:
        self._send(png())
        self._slowly(b"x" * 1000)

    def _drip(self) -> None:
        """Send a header that never ends, a byte now and then."""
        self.wfile.write(b"HTTP/1.0 200 OK\r\nx: ")
        self._slowly(b"y")

    def _slowly(self, piece: bytes) -> None:
        try:
            while True:
                self.wfile.write(piece)
                time.sleep(0.01)
        except OSError:
            return

    def _busy(self) -> None:
        """Be too busy for the first question."""
        type(self).tries += 1
        if type(self).tries == 1:
            self.send_error(503)
        else:
            self._send(png())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run the server on the loopback interface."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    """Give an empty store."""
    return MediaStore(f"file://{tmp_path}")


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/", "http://127.1/", "http://2130706433/", "http://0x7f000001/",
        "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::127.0.0.1]/",
        "http://[64:ff9b::7f00:1]/", "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd", "ftp://example.com/", "gopher://127.0.0.1:6379/_FLUSHALL",
        "http://user:secret@93.184.216.34/", "http://", "https://127.0.0.1/",
    ],
)  # fmt: skip
def test_ways_into_the_private_network_are_refused(store: MediaStore, url: str) -> None:
    """Whatever the spelling of the address, and whatever the scheme; at once, without a try."""
    with did({"socket.getaddrinfo", "socket.connect"}) as seen, pytest.raises(ContentError) as no:
        fetch_into(store, url, "image", FetchRules())

    assert seen in ([], ["socket.getaddrinfo"])
    assert "secret@" not in str(no.value)


def test_a_try_would_be_seen(store: MediaStore) -> None:
    """What the test above says did not happen is seen when it does: a second look, a connection."""
    with did({"socket.getaddrinfo", "socket.connect"}) as seen, pytest.raises(ContentError):
        fetch_into(store, "http://127.0.0.1:9/", "image", OWN_NETWORK)

    assert seen == ["socket.getaddrinfo", "socket.connect"] * 3


@contextmanager
def did(events: Collection[str]) -> Iterator[list[str]]:
    """Gather which of Python's audit events happen in this thread during the block."""
    seen: list[str] = []
    thread, is_watching = threading.get_ident(), True

    def watch(event: str, _: object) -> None:
        if is_watching and event in events and threading.get_ident() == thread:
            seen.append(event)

    sys.addaudithook(watch)  # stays until the process ends, and does nothing after the block
    yield seen
    is_watching = False


def test_a_content_is_brought_into_the_store(server: str, store: MediaStore) -> None:
    """Through a redirect; stored under its hash, described by what it is."""
    blob = fetch_into(store, f"{server}/once", "image", OWN_NETWORK)

    assert store.get(blob.name) == png()
    assert blob.media_type == "image/png"


@pytest.mark.parametrize("path", ["/inwards", "/metadata", "/file"])
def test_a_redirect_into_the_private_network_is_refused(
    server: str, store: MediaStore, path: str
) -> None:
    """The rules hold for every hop, not for the first alone."""
    with pytest.raises(ContentError, match=r"not public|only http"):
        fetch_into(store, f"{server}{path}", "image", OWN_NETWORK)


def test_the_connection_goes_to_the_address_that_was_judged(
    server: str, store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere the second time (DNS rebinding) is asked for once only."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, *args: Any, **options: Any) -> Any:
        if host != "rebinding.test":
            return real(host, *args, **options)
        asked.append(host)
        return real("127.0.0.1" if len(asked) == 1 else "169.254.169.254", *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    port = server.rpartition(":")[2]

    blob = fetch_into(store, f"http://rebinding.test:{port}/host", "image", OWN_NETWORK)

    assert asked == ["rebinding.test"]
    assert store.get(blob.name).endswith(f"rebinding.test:{port}".encode())


def test_the_next_address_is_tried_when_one_does_not_answer(
    server: str, store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host with a dead address before a living one is reached."""
    real = socket.getaddrinfo

    def two(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        if host != "two.test":
            return real(host, port, *args, **options)
        return [*real("::1", port, *args, **options), *real("127.0.0.1", port, *args, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", two)
    port = server.rpartition(":")[2]

    assert fetch_into(store, f"http://two.test:{port}/ok", "image", OWN_NETWORK).modality == "image"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/loop", "more than 2 redirects"),
        ("/large", "over the limit of 100000 bytes"),
        ("/endless", "over the limit of 100000 bytes"),
        ("/none", "answered 404"),
        ("/page", "of no type that is known here, not image"),
        ("/empty", "it is empty"),
    ],
)
def test_traps_end_with_a_reason(server: str, store: MediaStore, path: str, reason: str) -> None:
    """Loops, endless bodies, web pages and errors cost little, say why, and leave nothing."""
    with pytest.raises(ContentError, match=reason):
        fetch_into(store, f"{server}{path}", "image", OWN_NETWORK)

    assert list(store.names()) == []


@pytest.mark.parametrize("path", ["/drip", "/endless"])
def test_the_time_is_bounded_as_a_whole(server: str, store: MediaStore, path: str) -> None:
    """A server that goes on sending a byte now and then, even of a header, is left alone."""
    rules = replace(OWN_NETWORK, timeout_s=0.5, max_bytes=1 << 30)
    started = time.monotonic()

    with pytest.raises(ContentError, match=r"longer than 0\.5 s"):
        fetch_into(store, f"{server}{path}", "image", rules)

    assert time.monotonic() - started < 1.5


def test_a_server_that_is_busy_is_asked_again(server: str, store: MediaStore) -> None:
    """503 at first, the content a moment later."""
    rules = replace(OWN_NETWORK, timeout_s=30.0)

    assert fetch_into(store, f"{server}/busy", "image", rules).modality == "image"


def test_a_content_of_another_modality_is_refused(server: str, store: MediaStore) -> None:
    """A picture is no sound."""
    with pytest.raises(ContentError, match="image/png, not audio"):
        fetch_into(store, f"{server}/ok", "audio", OWN_NETWORK)


def test_what_a_download_leaves_is_nothing_when_it_fails(server: str, tmp_path: Path) -> None:
    """No half-written file stays in the store's folder."""
    store = MediaStore(f"file://{tmp_path}")

    with pytest.raises(ContentError):
        fetch_into(store, f"{server}/large", "image", OWN_NETWORK)

    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
