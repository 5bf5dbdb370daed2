"""Downloads reach the public internet and nothing else, and end in bounded size and time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from workers.errors import ContentError
from workers.fetch.guarded import FetchRules, download, is_public, judged_address

OWN_NETWORK = FetchRules(max_bytes=1000, timeout_s=2.0, max_redirects=2, allow_private=True)


class Handler(BaseHTTPRequestHandler):
    """A server with a page for each trap."""

    def do_GET(self) -> None:
        """Answer by path."""
        traps = {"/ok": self._ok, "/loop": self._loop, "/endless": self._endless}
        traps.get(self.path, self._missing)()

    def _ok(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"content of " + self.headers["host"].split(":")[0].encode())

    def _loop(self) -> None:
        self.send_response(302)
        self.send_header("location", "/loop")
        self.end_headers()

    def _endless(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 100)
                time.sleep(0.01)
        except OSError:
            return

    def _missing(self) -> None:
        self.send_response(404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Run the server on the loopback interface."""
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield f"http://localhost:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104  # an address to refuse
        "::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1", "2002:7f00:1::", "224.0.0.1",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    """Loopback, private, link-local, shared, mapped, tunnelled and multicast ones are told."""
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """What anybody may reach is reached."""
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/", "http://127.1/", "http://2130706433/", "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "ftp://example.com/",
        "gopher://127.0.0.1:6379/_FLUSHALL", "http://user:secret@93.184.216.34/",
    ],
)  # fmt: skip
def test_ways_into_the_private_network_are_refused(url: str) -> None:
    """Whatever the spelling of the address, and whatever the scheme."""
    with pytest.raises(ContentError):
        judged_address(httpx2.URL(url), FetchRules())


def test_a_redirect_into_the_private_network_is_refused(server: str) -> None:
    """The rules hold for every hop: the first here is private, so nothing is asked at all."""
    with pytest.raises(ContentError, match="not public"):
        download(f"{server}/ok", FetchRules())


def test_a_content_is_fetched_under_its_own_host_name(server: str) -> None:
    """The connection goes to the judged address, the request names the host."""
    assert download(f"{server}/ok", OWN_NETWORK) == b"content of localhost"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/loop", "more than 2 redirects"),
        ("/endless", "over the limit of 1000 bytes"),
        ("/none", "answered 404"),
    ],
)
def test_traps_end_with_a_reason(server: str, path: str, reason: str) -> None:
    """Loops, endless bodies and errors cost a bounded time and say what was wrong."""
    with pytest.raises(ContentError, match=reason):
        download(f"{server}{path}", OWN_NETWORK)
