"""A download that cannot be led astray: public addresses only, bounded in size, time and hops.

The name is resolved once, every address of it is judged, and the connection goes to the judged
address itself; so a name that answers differently the second time (DNS rebinding) gains nothing.
Each redirect is a new download with the same rules.
Source: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet".
"""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass
from typing import Final

import httpx2

from workers.errors import ContentError

SCHEMES: Final = ("http", "https")
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class FetchRules:
    """What a download may cost and where it may go."""

    max_bytes: int = 256 * 1024 * 1024
    timeout_s: float = 30.0
    max_redirects: int = 5
    allow_private: bool = False  # for networks of one's own; never where strangers may post


def download(url: str, rules: FetchRules) -> bytes:
    """Return what ``url`` holds.

    Raises:
        ContentError: the address is not allowed, does not answer, or is too large or too slow.
    """
    deadline = time.monotonic() + rules.timeout_s
    with httpx2.Client(trust_env=False, follow_redirects=False) as client:
        for _ in range(rules.max_redirects + 1):
            try:
                step = _one_hop(client, url, rules, deadline)
            except httpx2.HTTPError as error:
                raise _refused(url, f"it could not be fetched ({error})") from error
            if isinstance(step, bytes):
                return step
            url = step
    raise _refused(url, f"more than {rules.max_redirects} redirects")


def _one_hop(client: httpx2.Client, url: str, rules: FetchRules, deadline: float) -> bytes | str:
    """Return the content, or the address that it redirects to."""
    target = httpx2.URL(url)
    address = judged_address(target, rules)
    request = client.build_request(
        "GET",
        target.copy_with(host=address),
        headers={"host": target.netloc.decode("ascii"), "user-agent": "gnes-fetch"},
        extensions={"sni_hostname": target.host},
        timeout=max(0.1, deadline - time.monotonic()),
    )
    response = client.send(request, stream=True)
    try:
        if response.status_code in _REDIRECTS and "location" in response.headers:
            return str(target.join(response.headers["location"]))
        if response.status_code != httpx2.codes.OK:
            raise _refused(url, f"the server answered {response.status_code}")
        return _body(response, url, rules, deadline)
    finally:
        response.close()


def judged_address(url: httpx2.URL, rules: FetchRules) -> str:
    """Return the address to connect to.

    Raises:
        ContentError: the scheme is not http(s), or the name leads to an address that is not public.
    """
    if url.scheme not in SCHEMES or not url.host:
        raise _refused(str(url), "only http and https addresses are fetched")
    if url.userinfo:
        raise _refused(str(url), "an address with a user name or password is not fetched")
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = socket.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise _refused(str(url), f"its host is not known ({error})") from error
    addresses = [str(entry[4][0]) for entry in found]
    for address in addresses:
        if not (rules.allow_private or is_public(address)):
            raise _refused(str(url), f"its host leads to {address}, which is not public")
    return addresses[0]


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, mapped ones looked through."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    mapped = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None)
    if mapped is not None:
        ip = mapped
    return ip.is_global and not ip.is_multicast


def _body(response: httpx2.Response, url: str, rules: FetchRules, deadline: float) -> bytes:
    announced = response.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > rules.max_bytes:
        raise _refused(url, f"its {announced} bytes are over the limit of {rules.max_bytes}")
    body = bytearray()
    for piece in response.iter_bytes():
        body += piece
        if len(body) > rules.max_bytes:
            raise _refused(url, f"it is over the limit of {rules.max_bytes} bytes")
        if time.monotonic() > deadline:
            raise _refused(url, f"it took longer than {rules.timeout_s:g} s")
    return bytes(body)


def _refused(url: str, reason: str) -> ContentError:
    return ContentError(f"{url}: {reason}", "upload the content, or give another address")
