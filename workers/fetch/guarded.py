"""A download that cannot be led astray: public addresses only, bounded in size, time and hops.

The name is resolved once, every address of it is judged, and the connection goes to a judged
address itself; so a name that answers differently the second time (DNS rebinding) gains nothing.
Each redirect is a new download with the same rules. Time is bounded as a whole: when it is over
the connection is cut, however slowly the other side goes on sending.
Source: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet".
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from indexstore.incoming import Blob, Incoming
from indexstore.media import MediaStore
from indexstore.sniffing import UNKNOWN, modalities_of
from workers.errors import ContentError
from workers.fetch.addresses import is_public, is_within, resolved

SCHEMES: Final = ("http", "https")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_BUSY: Final = frozenset({429, 500, 502, 503, 504})
_TRIES: Final = 3
_PAUSE_S: Final = 0.5
_CONNECTED: Final = ("connection.connect_tcp.complete", "connection.start_tls.complete")


@dataclass(frozen=True, slots=True)
class FetchRules:
    """What a download may cost and where it may go."""

    max_bytes: int = 256 * 1024 * 1024
    timeout_s: float = 30.0
    max_redirects: int = 5
    allowed_networks: Sequence[str] = ()  # of one's own, that strangers may be shown


class _BusyError(Exception):
    """The other side may answer better a moment later."""


def fetch_into(store: MediaStore, url: str, modality: str, rules: FetchRules) -> Blob:
    """Bring what ``url`` holds into the store.

    Raises:
        ContentError: the address is not allowed, does not answer, or is too large or too slow; or
            what it holds is not of this modality.
        StorageFullError: there is no space for it.
    """
    deadline = time.monotonic() + rules.timeout_s
    for attempt in range(_TRIES):
        try:
            with store.incoming() as incoming:
                _download(url, rules, deadline, _Sink(incoming, url, modality, rules))
                return incoming.keep()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError, _BusyError) as error:
            if time.monotonic() >= deadline:
                raise _refused(url, f"it took longer than {rules.timeout_s:g} s") from error
            if attempt + 1 == _TRIES or isinstance(error, httpx2.InvalidURL):
                raise _refused(url, f"it could not be fetched ({error})") from error
        time.sleep(min(_PAUSE_S * 2**attempt, max(0.0, deadline - time.monotonic())))
    raise AssertionError(url)


@dataclass(slots=True)
class _Sink:
    """Where a download goes, and what makes it stop."""

    incoming: Incoming
    url: str
    modality: str
    rules: FetchRules
    _is_known: bool = False

    def write(self, piece: bytes) -> None:
        self.incoming.write(piece)
        if self.incoming.size_bytes > self.rules.max_bytes:
            raise _refused(self.url, f"it is over the limit of {self.rules.max_bytes} bytes")
        if self.incoming.is_sniffable and not self._is_known:
            self.check()

    def check(self) -> None:
        """Refuse what is not of the modality."""
        self._is_known = True
        found = self.incoming.media_type
        if not self.incoming.size_bytes:
            raise _refused(self.url, "it is empty")
        if self.modality not in modalities_of(found):
            shown = "of no type that is known here" if found == UNKNOWN else found
            raise _refused(self.url, f"it is {shown}, not {self.modality}")


def _download(url: str, rules: FetchRules, deadline: float, sink: _Sink) -> None:
    """Follow an address to its content."""
    with httpx2.Client(trust_env=False, follow_redirects=False) as client:
        for _ in range(rules.max_redirects + 1):
            following = _one_hop(client, url, rules, deadline, sink)
            if following is None:
                sink.check()
                return
            url = following
    raise _refused(url, f"more than {rules.max_redirects} redirects")


def _one_hop(
    client: httpx2.Client, url: str, rules: FetchRules, deadline: float, sink: _Sink
) -> str | None:
    """Read the content, or return the address that it redirects to."""
    target = httpx2.URL(url)
    addresses = judged_addresses(target, rules, deadline)
    for place, address in enumerate(addresses):
        try:
            with _answer(client, target, address, deadline) as response:
                following = _read(response, target, rules, sink)
        except httpx2.ConnectError:
            if place + 1 == len(addresses):
                raise
        else:
            if time.monotonic() >= deadline:  # cut off, which looks like an end
                raise TimeoutError("it was cut off")
            return following
    raise AssertionError(url)


@contextmanager
def _answer(
    client: httpx2.Client, target: httpx2.URL, address: str, deadline: float
) -> Iterator[httpx2.Response]:
    """Ask one judged address, under the target's own name; cut the connection at the deadline."""
    left = max(0.1, deadline - time.monotonic())
    scissors = _Scissors(left)
    request = client.build_request(
        "GET",
        target.copy_with(host=address),
        headers={
            "host": target.netloc.decode("ascii"),
            "user-agent": "gnes-fetch",
            "accept-encoding": "identity",  # what is sent is what is counted
        },
        extensions={"sni_hostname": target.host, "trace": scissors.note},
        timeout=left,
    )
    with scissors:
        response = client.send(request, stream=True)
        try:
            yield response
        finally:
            response.close()


def _read(
    response: httpx2.Response, target: httpx2.URL, rules: FetchRules, sink: _Sink
) -> str | None:
    url = str(target)
    if response.status_code in _REDIRECTS and "location" in response.headers:
        return str(target.join(response.headers["location"]))
    if response.status_code in _BUSY:
        raise _BusyError(f"the server answered {response.status_code}")
    if response.status_code != httpx2.codes.OK:
        raise _refused(url, f"the server answered {response.status_code}")
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > rules.max_bytes:
        raise _refused(url, f"its {announced} bytes are over the limit of {rules.max_bytes}")
    for piece in response.iter_raw():
        sink.write(piece)
    return None


def judged_addresses(url: httpx2.URL, rules: FetchRules, deadline: float) -> list[str]:
    """Return the addresses to connect to.

    Raises:
        ContentError: the scheme is not http(s), or the name leads to an address that is not public.
        OSError: the name is not known.
    """
    if url.scheme not in SCHEMES or not url.host:
        raise _refused(str(url), "only http and https addresses are fetched")
    if url.userinfo:
        raise _refused(url.host, "an address with a user name or password is not fetched")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        addresses = resolved(url.host, port, deadline - time.monotonic())
    except UnicodeError as error:
        raise _refused(str(url), f"its host is no name ({error})") from error
    for address in addresses:
        if not (is_public(address) or is_within(address, rules.allowed_networks)):
            raise _refused(str(url), f"its host leads to {address}, which is not public")
    return addresses


class _Scissors:
    """Cuts a connection when its time is over; a context manager."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._socket: Any = None
        self._is_over = False

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def note(self, event: str, info: Any) -> None:
        """Learn which socket the connection is of; the HTTP library calls this."""
        if event in _CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")
            if self._is_over:
                self._cut()

    def _cut(self) -> None:
        self._is_over = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _refused(url: str, reason: str) -> ContentError:
    return ContentError(f"{url}: {reason}", "upload the content, or give another address")
