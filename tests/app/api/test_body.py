"""Bodies are read strictly: nothing is silently changed on its way in."""

import pytest

from app.api.body import MAX_DEPTH, parse
from app.api.problems import Problem


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"{", "end of data"),
        (b'{"a": NaN}', "unexpected character"),
        (b"[Infinity]", "unexpected character"),
        (b"[1e999]", "too large"),
        (b'"\xff"', "UTF-8"),
        (b'"\\ud800"', "surrogate"),
        (b'"\x01"', "control character"),
        (b'{"a": "x\\u0000y"}', "NUL"),
        (b'{"a": 1, "a": 2}', "stands twice"),
        (b'[{"b": {"k": 1, "k": 1}}]', "stands twice"),
        (b"[123456789012345678901234567890]", "does not fit 64 bits"),
        (b'{"n": -9223372036854775809}', "does not fit 64 bits"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "deeper"),
        (b"[" * 100_000, "depth"),
        (b"[1,]", "trailing comma"),
        (b"{'a': 1}", "line 1"),
    ],
)
def test_what_is_not_strict_json_is_refused_with_its_reason(body: bytes, says: str) -> None:
    """Each kind of bad JSON is a 400 that names the fault."""
    with pytest.raises(Problem, match=says) as caught:
        parse(body)

    assert (caught.value.status, caught.value.code) == (400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"text": "a:b:c", "tags": {"x": ":"}}', {"text": "a:b:c", "tags": {"x": ":"}}),
        (b'"\\\\u0000"', "\\u0000"),
        (b"[9223372036854775807, 0.5]", [9223372036854775807, 0.5]),
        (b"1e300", 1e300),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b"null", None),
    ],
)
def test_what_only_looks_suspicious_is_read(body: bytes, value: object) -> None:
    """Colons in strings, escaped backslashes, large but fitting numbers and emoji are fine."""
    assert parse(body) == value
