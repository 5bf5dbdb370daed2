"""Limits that need more than one field to check; each error names the limit and the field."""

import re
from typing import Any

from app.api.problems import Problem, invalid
from app.settings import Limits

_ETAG = re.compile(r'^(?:W/)?"?(\d{1,18})"?$')


def check_page(limit: int, offset: int, limits: Limits) -> None:
    """Refuse a page that reaches too deep.

    Raises:
        Problem: 400 that names ``max_limit``.
    """
    if limit + offset > limits.max_limit:
        reason = (
            f"limit + offset is {limit + offset}, over the limit max_limit ({limits.max_limit}); "
            "page through documents with scroll instead"
        )
        raise invalid([{"field": "limit", "reason": reason}])


def check_timeout(seconds: float, limits: Limits, *, field: str) -> float:
    """Return a time-out within its range.

    Raises:
        Problem: 400 that names ``max_timeout_s``.
    """
    if not 0 < seconds <= limits.max_timeout_s:
        reason = (
            f"{seconds:g} s is not within 0 and the limit max_timeout_s ({limits.max_timeout_s:g})"
        )
        raise invalid([{"field": field, "reason": reason}])
    return seconds


def check_batch(items: Any, limits: Limits) -> list[Any]:
    """Return the items of a write: a list, or one object as a list of one.

    Raises:
        Problem: 400 for another shape or none, 413 when there are too many.
    """
    if isinstance(items, dict):
        return [items]
    if not isinstance(items, list) or not items:
        raise invalid([{"field": "", "reason": "send one document, or a list of one or more"}])
    if len(items) > limits.max_batch:
        detail = (
            f"{len(items)} documents are over the limit max_batch ({limits.max_batch}); "
            "send several requests, or stream them as application/x-ndjson"
        )
        raise Problem("too_many_items", detail, members={"limit": limits.max_batch})
    return items


def version_of(if_match: str | None) -> int | None:
    """Return the version that an ``If-Match`` header asks for; None when any will do.

    Raises:
        Problem: 400 when the header is not an ETag of ours.
    """
    if if_match is None or if_match.strip() == "*":
        return None
    match = _ETAG.match(if_match.strip())
    if match is None:
        reason = f'"{if_match[:40]}" is not an ETag that this API gave; expected one like "17"'
        raise invalid([{"field": "If-Match", "reason": reason}])
    return int(match.group(1))
