"""Which units of a part are near: asked of its engine, or looked for list by list under a filter.

Where most of what lies around a query may come back, the engine finds it. Where little of it may,
an engine walks through what it may not return; then the units that may are compared one by one,
those of the nearest neighbourhoods first. Which of the two it is depends on filter and query both:
a filter may let half of everything pass and nothing of what is near.
"""

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.base import Engine, Rows, Scores, Vectors, nothing
from indexstore.kernel import relevance_at
from indexstore.lists import Lists
from indexstore.model import Float32
from indexstore.part import Part, Passing
from indexstore.runs import Indices
from indexstore.scoring import best_columns

OPEN_SHARE = 0.7  # of what lies around a query: where less may come, lists are surer than engines
AROUND = 4096  # units around a query, of which that share is taken
COMPARED = 6144  # units compared one by one, about as dear as a walk through a graph
COMPARED_A_HIT = 100  # more of them for every hit wanted
COMPARED_PART = 64  # and a 64th of the part's units
PASSED_OVER = 4  # units that may not come are passed over in a quarter of the time
REFINED = 3  # candidates a hit, as lists hold eight bits a number


def compared(part: Part, width: int) -> int:
    """Return how many units are better compared one by one than searched for."""
    return COMPARED + COMPARED_A_HIT * width + len(part.units) // COMPARED_PART


def nearest_units(
    part: Part, queries: Vectors, width: int, passing: Passing | None, *, effort: int | None
) -> tuple[Scores, Rows]:
    """Find the nearest units of each query that may come, as ``Engine.search`` does.

    Args:
        part: has an engine.
        queries: float32 (q, d).
        width: units a query.
        passing: those that may come; None allows all.
        effort: how hard to look; None is the engine's own measure.
    """
    engine = part.engine
    assert engine is not None  # noqa: S101 - callers look first
    if passing is None:
        return engine.search(queries, width, effort=effort)
    if part.lists is None or passing.in_lists is None:
        return engine.search(queries, width, passing.units, effort=effort)
    nearness = part.lists.nearness(queries)
    ranked = np.argsort(-nearness, axis=1)
    is_open = _open_share(part.lists, passing.in_lists, ranked) >= OPEN_SHARE
    scores, units = nothing(len(queries), min(width, engine.count))
    if is_open.any():
        answer = engine.search(queries[is_open], width, passing.units, effort=effort)
        scores[is_open], units[is_open] = answer
    if not is_open.all():
        rest = ~is_open
        budget = compared(part, width) * _zeal(engine, effort)
        chosen = _chosen(part.lists, passing.in_lists, (ranked[rest], nearness[rest]), budget)
        answer = _refined(part, queries[rest], scores.shape[1], (passing, chosen))
        scores[rest], units[rest] = answer
    return scores, units


def _zeal(engine: Engine, effort: int | None) -> float:
    """Return how much harder to look than usual."""
    usual = engine.options.get("ef")
    return max(1.0, effort / usual) if effort and usual else 1.0


def _open_share(lists: Lists, passing: Indices, ranked: Indices) -> NDArray[np.float64]:
    """Return the share of the units around each query that may come."""
    sizes = lists.sizes[ranked]
    around = np.cumsum(sizes, axis=1) - sizes < AROUND
    allowed = (passing[ranked] * around).sum(axis=1)
    return np.asarray(allowed / np.maximum(1, (sizes * around).sum(axis=1)))


def _chosen(
    lists: Lists, passing: Indices, near: tuple[Indices, Float32], budget: float
) -> tuple[Indices, Float32]:
    """Return the nearest lists of each query that the budget is enough for, and their nearness."""
    ranked, nearness = near
    allowed = passing[ranked]
    costs = np.where(allowed, allowed + lists.sizes[ranked] // PASSED_OVER, 0)
    taken = (allowed > 0) & (np.cumsum(costs, axis=1) - costs < budget)
    most = int(taken.sum(axis=1).max(initial=1))
    first = np.argsort(~taken, axis=1, kind="stable")[:, :most]
    chosen = np.where(
        np.take_along_axis(taken, first, axis=1), np.take_along_axis(ranked, first, axis=1), -1
    )
    return chosen, np.take_along_axis(nearness, np.maximum(chosen, 0), axis=1)


def _refined(
    part: Part, queries: Vectors, width: int, look: tuple[Passing, tuple[Indices, Float32]]
) -> tuple[Scores, Rows]:
    """Return the best units of the chosen lists, told by all of their bits."""
    passing, chosen = look
    assert part.lists is not None  # noqa: S101 - callers look first
    units = part.lists.candidates(queries, REFINED * width, passing.units, chosen)
    best, columns = best_columns(relevance_at(part.metric, queries, part.units, units), width)
    return best, np.take_along_axis(units, columns, axis=1)
