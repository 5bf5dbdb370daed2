"""How deep rankings are fused, so that page after page of one query neither repeats nor skips.

A document's fused score depends on where the other rankings hold it, and so on how deep they were
read. Rankings are therefore fused window by window: the first 100 of each among themselves, then
what is new among the first 400, and so on. A later page reads further and changes nothing before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from compose.plan import Plan
from compose.wire.messages import SearchParams

WINDOW: Final = 100  # documents of each ranking that are fused first
_GROWTH = 4  # of each further window


def windows(wanted: int) -> Iterator[int]:
    """Yield the windows that give ``wanted`` documents, if there are as many."""
    window = WINDOW
    yield window
    while window < wanted:
        window *= _GROWTH
        yield window


def wanted_of(params: SearchParams) -> int:
    """Return how many documents an answer may need, those for the dead included."""
    return params.offset + params.limit + params.slack


def asked_of(params: SearchParams, plan: Plan) -> tuple[int, ...]:
    """Return the places of the indexes that a search asks."""
    return tuple(params.asked) or plan.asked(params.mode)


def fuses(params: SearchParams, plan: Plan) -> bool:
    """Tell whether the answers of several indexes become one ranking."""
    return len(asked_of(params, plan)) > 1


def depth_of(params: SearchParams, plan: Plan) -> int:
    """Return how many documents each shard sends, beside its spare ones."""
    if not fuses(params, plan):
        return max(params.offset + params.limit, plan.candidates)
    return max(windows(wanted_of(params)))
