"""Filters: what a user may say about tags and ids, parsed with clear errors, and evaluated.

A filter is a group of conditions: all of ``must``, none of ``must_not``, and one of ``should``
(or ``min_should`` of them) hold. A condition is ``{"key": ..., "match": ...}``, ``{"key": ...,
"range": ...}``, ``{"is_empty": {"key": ...}}``, ``{"has_id": [...]}``, or another group. Keys of
nested objects are joined by dots; a list holds each of its elements.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexstore.dates import moment

Scalar = str | int | float | bool
Mask = NDArray[np.bool_]
#: How many documents have each value; values as ``exact`` returns them, for 1 is not true.
Facet = dict[tuple[str, Scalar], int]

MOST_DEPTH = 16  # groups in groups
MOST_CONDITIONS = 1024

_WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Match:
    """The tag has one of these values; ``is_except``: it has one that is none of them."""

    key: str
    values: tuple[Scalar, ...]
    is_except: bool = False

    def holds(self, values: Sequence[Scalar], _doc_id: str) -> bool:
        """Tell whether the values of a document's tag fulfil the condition."""
        wanted = {exact(value) for value in self.values}
        return any((exact(value) in wanted) != self.is_except for value in values)


@dataclass(frozen=True, slots=True)
class MatchText:
    """The tag's text has all of these words, whatever their case and order."""

    key: str
    text: str

    def holds(self, values: Sequence[Scalar], _doc_id: str) -> bool:
        """Tell whether the values of a document's tag fulfil the condition."""
        return any(self.finds(value) for value in values if isinstance(value, str))

    def finds(self, value: str) -> bool:
        """Tell whether one text has all of the words."""
        return words(self.text) <= words(value)


@dataclass(frozen=True, slots=True)
class Range:
    """The tag has a number, or a text, between two bounds.

    Where the bounds are dates, texts that are dates are compared as moments.
    """

    key: str
    low: float | str | None
    high: float | str | None
    with_low: bool
    with_high: bool

    @property
    def is_text(self) -> bool:
        """Tell whether texts are compared."""
        return isinstance(self.low if self.low is not None else self.high, str)

    def holds(self, values: Sequence[Scalar], _doc_id: str) -> bool:
        """Tell whether the values of a document's tag fulfil the condition."""
        return any(self.contains(v) for v in values if isinstance(v, str) == self.is_text
                   and not isinstance(v, bool))  # fmt: skip

    @property
    def moments(self) -> tuple[float | None, float | None] | None:
        """Return the bounds as moments; None where they are no dates."""
        return _moments(self.low, self.high)

    def contains(self, value: Any) -> bool:
        """Tell whether a value of the right kind lies between the bounds."""
        if not self.is_text:
            return bool(self._between(as_float(value), self.low, self.high))
        at = None if self.moments is None else moment(value)
        if at is not None:
            return bool(self.holds_at(at))
        return bool(self._between(value, self.low, self.high))

    def holds_at(self, moments: Any) -> Any:
        """Tell which moments lie between the bounds, which are dates."""
        return self._between(moments, *(self.moments or (None, None)))

    def _between(self, value: Any, low: Any, high: Any) -> Any:
        above: Any = True
        below: Any = True
        if low is not None:
            above = value >= low if self.with_low else value > low
        if high is not None:
            below = value <= high if self.with_high else value < high
        return above & below


@lru_cache(maxsize=1024)
def _moments(*bounds: float | str | None) -> tuple[float | None, float | None] | None:
    found = [moment(each) if isinstance(each, str) else None for each in bounds]
    if any((at is None) != (each is None) for at, each in zip(found, bounds, strict=True)):
        return None
    return found[0], found[1]


@dataclass(frozen=True, slots=True)
class IsEmpty:
    """The tag is not there, null, or an empty list."""

    key: str

    def holds(self, values: Sequence[Scalar], _doc_id: str) -> bool:
        """Tell whether the values of a document's tag fulfil the condition."""
        return not values


@dataclass(frozen=True, slots=True)
class HasId:
    """The document's id is one of these."""

    doc_ids: tuple[str, ...]
    key: str = ""

    def holds(self, _values: Sequence[Scalar], doc_id: str) -> bool:
        """Tell whether the document fulfils the condition."""
        return doc_id in self.doc_ids


Condition = Match | MatchText | Range | IsEmpty | HasId


@dataclass(frozen=True, slots=True)
class Filter:
    """A group of conditions and of groups."""

    must: tuple["Condition | Filter", ...] = ()
    should: tuple["Condition | Filter", ...] = ()
    must_not: tuple["Condition | Filter", ...] = ()
    min_should: int = 1

    def mask(self, leaf: Callable[[Condition], Mask], size: int) -> Mask:
        """Return which of ``size`` documents pass, from the masks of single conditions."""
        passing = np.ones(size, np.bool_)
        for part in self.must:
            passing &= _mask_of(part, leaf, size)
        for part in self.must_not:
            passing &= ~_mask_of(part, leaf, size)
        if self.should:
            counts = np.zeros(size, np.int32)
            for part in self.should:
                counts += _mask_of(part, leaf, size)
            passing &= counts >= self.min_should
        return passing


def _mask_of(part: Condition | Filter, leaf: Callable[[Condition], Mask], size: int) -> Mask:
    return part.mask(leaf, size) if isinstance(part, Filter) else leaf(part)


def passes(chosen: Condition | Filter, tags: Mapping[str, Any], doc_id: str) -> bool:
    """Tell whether one document passes; the meaning that the masks must agree with."""
    if not isinstance(chosen, Filter):
        return chosen.holds(values_at(tags, chosen.key) if chosen.key else (), doc_id)
    if not all(passes(part, tags, doc_id) for part in chosen.must):
        return False
    if any(passes(part, tags, doc_id) for part in chosen.must_not):
        return False
    if not chosen.should:
        return True
    return sum(passes(part, tags, doc_id) for part in chosen.should) >= chosen.min_should


def exact(value: Scalar) -> tuple[str, Scalar]:
    """Return a value as it is compared: 1 is 1.0, but neither is true or "1"."""
    if isinstance(value, bool):
        return "b", value
    return ("s", value) if isinstance(value, str) else ("n", value)


def as_float(value: float) -> float:
    """Return a number as it is compared in ranges; beyond every float it is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def words(text: str) -> frozenset[str]:
    """Return the words of a text in lower case."""
    return frozenset(_WORDS.findall(text.casefold()))


def flattened(tags: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Scalar]]:
    """Yield every key and value of some tags, however nested."""
    for name, value in tags.items():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, Mapping):
                yield from flattened(item, f"{prefix}{name}.")
            elif isinstance(item, str | bool | int) or _is_number(item):
                yield f"{prefix}{name}", item


def values_at(tags: Mapping[str, Any], key: str) -> list[Scalar]:
    """Return the values that a key has in some tags."""
    return [value for name, value in flattened(tags) if name == key]


def _is_number(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value)
