"""Reads a filter as JSON gives it; every fault names its place and how to mend it."""

from collections.abc import Mapping, Sequence
from typing import Any

from indexstore.errors import InvalidFilterError
from indexstore.filters import (
    MOST_CONDITIONS,
    MOST_DEPTH,
    Condition,
    Filter,
    HasId,
    IsEmpty,
    Match,
    MatchText,
    Range,
    Scalar,
    as_float,
)
from indexstore.names import unknown

_GROUP = ("must", "should", "must_not", "min_should")
_TESTS = ("match", "range", "is_empty", "has_id")
_MATCH = ("value", "any", "except", "text")
_RANGE = ("gt", "gte", "lt", "lte")


def parse_filter(given: Any) -> Filter:
    """Return the filter that a JSON value describes.

    Raises:
        InvalidFilterError: it describes none; says where and why.
    """
    budget = [MOST_CONDITIONS]
    parsed = _part(given, "filter", MOST_DEPTH, budget)
    return parsed if isinstance(parsed, Filter) else Filter(must=(parsed,))


def _part(given: Any, where: str, depth: int, budget: list[int]) -> Condition | Filter:
    budget[0] -= 1
    if not isinstance(given, Mapping):
        raise InvalidFilterError(where, f"an object is expected, not {_kind(given)}")
    if depth == 0 or budget[0] < 0:
        limit = f"{MOST_DEPTH} groups in groups, {MOST_CONDITIONS} conditions"
        raise InvalidFilterError(where, f"it is too large; the limits are {limit}")
    _require_known(given, (*_GROUP, "key", *_TESTS), where)
    groups = [key for key in _GROUP if key in given]
    tests = [key for key in ("key", *_TESTS) if key in given]
    if groups and tests:
        reason = f"{groups[0]!r} makes a group, {tests[0]!r} a condition; it cannot be both"
        raise InvalidFilterError(where, reason)
    if tests:
        return _condition(given, where)
    return _group(given, where, depth, budget)


def _group(given: Mapping[str, Any], where: str, depth: int, budget: list[int]) -> Filter:
    def parts(key: str, among: Mapping[str, Any], at: str) -> tuple[Condition | Filter, ...]:
        listed = among.get(key) or ()
        if isinstance(listed, Mapping):
            listed = [listed]
        if not _is_list(listed):
            raise InvalidFilterError(f"{at}.{key}", "a list of conditions is expected")
        return tuple(
            _part(part, f"{at}.{key}[{i}]", depth - 1, budget) for i, part in enumerate(listed)
        )

    should, least = parts("should", given, where), given.get("min_should", 1)
    if isinstance(least, Mapping):  # Qdrant's form: {"conditions": [...], "min_count": 2}
        at = f"{where}.min_should"
        _require_known(least, ("conditions", "min_count"), at)
        should += parts("conditions", least, at)
        least = least.get("min_count", 1)
    if isinstance(least, bool) or not isinstance(least, int) or least < 0:
        raise InvalidFilterError(f"{where}.min_should", "a number of conditions is expected")
    return Filter(parts("must", given, where), should, parts("must_not", given, where), least)


def _condition(given: Mapping[str, Any], where: str) -> Condition:
    tests = [test for test in _TESTS if test in given]
    if len(tests) != 1:
        found = " and ".join(tests) if tests else "none"
        reason = f"one of {', '.join(_TESTS)} is expected, found {found}"
        raise InvalidFilterError(where, reason)
    (test,) = tests
    if test == "has_id":
        return HasId(tuple(_texts(given[test], f"{where}.has_id")))
    if test == "is_empty":
        return IsEmpty(_empty_key(given, where))
    key = _key(given, where)
    if not isinstance(given[test], Mapping):
        raise InvalidFilterError(
            f"{where}.{test}", f"an object is expected, not {_kind(given[test])}"
        )
    if test == "match":
        return _match(key, given[test], f"{where}.match")
    return _range(key, given[test], f"{where}.range")


def _empty_key(given: Mapping[str, Any], where: str) -> str:
    inner = given["is_empty"]
    if isinstance(inner, Mapping):
        _require_known(inner, ("key",), f"{where}.is_empty")
        return _key(inner, f"{where}.is_empty")
    if inner is not True:
        raise InvalidFilterError(f"{where}.is_empty", 'write {"is_empty": {"key": "..."}}')
    return _key(given, where)


def _match(key: str, given: Mapping[str, Any], where: str) -> Condition:
    _require_known(given, _MATCH, where)
    if len(given) != 1:
        raise InvalidFilterError(where, f"exactly one of {', '.join(_MATCH)} is expected")
    ((form, value),) = given.items()
    at = f"{where}.{form}"
    if form == "value":
        return Match(key, (_scalar(value, at),))
    if form == "text":
        if not isinstance(value, str):
            raise InvalidFilterError(at, f"a text is expected, not {_kind(value)}")
        return MatchText(key, value)
    if not _is_list(value):
        raise InvalidFilterError(at, f"a list is expected, not {_kind(value)}")
    values = tuple(_scalar(item, f"{at}[{i}]") for i, item in enumerate(value))
    return Match(key, values, is_except=form == "except")


def _range(key: str, given: Mapping[str, Any], where: str) -> Range:
    _require_known(given, _RANGE, where)
    bounds = {name: _bound(value, f"{where}.{name}") for name, value in given.items()
              if value is not None}  # fmt: skip
    if not bounds:
        raise InvalidFilterError(where, f"at least one of {', '.join(_RANGE)} is expected")
    if len({isinstance(bound, str) for bound in bounds.values()}) > 1:
        raise InvalidFilterError(where, "one bound is a number and the other a text")
    for one, other in (("gt", "gte"), ("lt", "lte")):
        if one in bounds and other in bounds:
            raise InvalidFilterError(where, f"{one!r} and {other!r} exclude each other")
    return Range(
        key,
        bounds.get("gte", bounds.get("gt")),
        bounds.get("lte", bounds.get("lt")),
        "gte" in bounds,
        "lte" in bounds,
    )


def _bound(value: Any, where: str) -> float | str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidFilterError(where, f"a number or a text is expected, not {_kind(value)}")
    return value if isinstance(value, str) else as_float(value)


def _key(given: Mapping[str, Any], where: str) -> str:
    key = given.get("key")
    if not isinstance(key, str) or not key:
        raise InvalidFilterError(f"{where}.key", "the name of a tag is expected")
    return key


def _scalar(value: Any, where: str) -> Scalar:
    if isinstance(value, str | bool | int | float):
        return value
    raise InvalidFilterError(where, f"a text, a number or a truth is expected, not {_kind(value)}")


def _texts(value: Any, where: str) -> Sequence[str]:
    if not _is_list(value) or not all(isinstance(item, str) for item in value):
        raise InvalidFilterError(where, "a list of document ids is expected")
    texts: Sequence[str] = value
    return texts


def _require_known(given: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for key in given:
        if key not in known:
            raise InvalidFilterError(where, unknown("key", str(key), known))


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a truth", type(None): "null"}
    return names.get(type(value), "a number" if isinstance(value, int | float) else "that")
