"""Which addresses are of the public internet: everything else is somebody's own network."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv6 networks whose last 32 bits are an IPv4 address: mapped, compatible, translated, NAT64.
_CARRIERS: Final = tuple(
    ipaddress.IPv6Network(net)
    for net in ("::ffff:0:0/96", "::/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_TEREDO: Final = ipaddress.IPv6Network("2001::/32")


def is_public(address: str) -> bool:
    """Tell whether an IP address is one that anybody may reach; what it carries must be, too."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    return all(_is_global(one) for one in _carried(ip))


def is_within(address: str, networks: Sequence[str]) -> bool:
    """Tell whether an address is of one of these networks, such as 10.1.0.0/16."""
    ip = ipaddress.ip_address(address.split("%", 1)[0])
    return any(ip in ipaddress.ip_network(network) for network in networks)


def resolved(host: str, port: int, timeout_s: float) -> list[str]:
    """Return the addresses of a host, in the order in which the system would try them.

    Raises:
        OSError: it has none, or nobody says so in time.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="resolver")
    try:
        asked = pool.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = asked.result(timeout=max(0.1, timeout_s))
    except LateError:
        raise OSError("the name was not resolved in time") from None
    finally:
        pool.shutdown(wait=False)  # the system's resolver cannot be called back
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _carried(ip: Address) -> list[Address]:
    """Return the address, or the ones within it that a packet may end at."""
    if isinstance(ip, ipaddress.IPv4Address):
        return [ip]
    if ip.sixtofour is not None:
        return [ip.sixtofour]
    if ip in _TEREDO and ip.teredo is not None:
        return [ip, *ip.teredo]
    if any(ip in net for net in _CARRIERS):
        return [ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)]
    return [ip]


def _is_global(ip: Address) -> bool:
    is_site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
    is_odd = ip.is_multicast or ip.is_reserved or ip.is_unspecified or is_site_local
    return ip.is_global and not is_odd
