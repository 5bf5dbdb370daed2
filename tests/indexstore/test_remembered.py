"""What is remembered stays within its bound."""

from dataclasses import dataclass
from functools import partial

from indexstore.remembered import Remembered


@dataclass(frozen=True)
class Lump:
    """Something of a size."""

    size_bytes: int


def test_what_was_not_asked_for_longest_makes_room() -> None:
    """A value that was asked for again stays; one that made room is made anew."""
    made: list[str] = []
    remembered = Remembered[Lump](100)

    def make(key: str) -> Lump:
        made.append(key)
        return Lump(40)

    for key in ("a", "b", "a", "c", "a", "b"):
        remembered.get(key, partial(make, key))

    assert made == ["a", "b", "c", "b"]


def test_a_key_takes_room_as_well() -> None:
    """A filter by many ids is longer than what it lets pass."""
    remembered = Remembered[Lump](100)
    first = remembered.get("a" * 60, lambda: Lump(1))

    remembered.get("b" * 60, lambda: Lump(1))

    assert remembered.get("a" * 60, lambda: Lump(1)) is not first


def test_the_newest_stays_however_large_it_is() -> None:
    """Or it would be made again by every query of a row of them."""
    remembered = Remembered[Lump](100)
    remembered.get("a", lambda: Lump(40))
    large = remembered.get("b", lambda: Lump(500))

    assert remembered.get("b", lambda: Lump(500)) is large
