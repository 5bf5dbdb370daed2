"""Only addresses of the public internet are public, however they are spelt or wrapped."""

from __future__ import annotations

import pytest

from workers.fetch.addresses import is_public, is_within, resolved


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104  # an address to refuse
        "192.0.2.1", "198.18.0.1", "240.0.0.1", "255.255.255.255", "224.0.0.1",
        "::1", "::", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1", "100::1",
        "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::ffff:0:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::",
    ],
)  # fmt: skip
def test_private_addresses_are_not_public(address: str) -> None:
    """Loopback, private, link-local, shared, documentation, multicast; mapped and tunnelled too."""
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34",
        "64:ff9b::5db8:d822",
    ],
)  # fmt: skip
def test_addresses_of_the_internet_are_public(address: str) -> None:
    """What anybody may reach is reached, also through a translator."""
    assert is_public(address)


def test_networks_of_ones_own_can_be_named() -> None:
    """An address is within the networks named, and no other."""
    assert is_within("10.1.2.3", ["10.1.0.0/16"])
    assert not is_within("10.2.2.3", ["10.1.0.0/16"])
    assert not is_within("::1", ["127.0.0.0/8"])


def test_a_literal_is_its_own_address() -> None:
    """No name, no question; each address once."""
    assert resolved("127.0.0.1", 80, 1.0) == ["127.0.0.1"]


def test_a_name_that_nobody_knows_is_an_error_in_good_time() -> None:
    """Reserved for this purpose (RFC 2606)."""
    with pytest.raises(OSError, match=r"."):
        resolved("nobody.invalid", 80, 5.0)
