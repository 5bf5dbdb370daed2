"""From the parts of all shards to one ranking a query: merged, scored again, fused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compose.plan import Plan
from compose.wire.fusing import fuses, wanted_of
from compose.wire.messages import SearchParams, ShardPart
from workers.reduce.fusion import Fusion
from workers.reduce.merge import Candidate, by_index, rank
from workers.reduce.scoring import Rescored, scoring_of
from workers.score.documents import Scoring

Scorings = Mapping[int, Scoring]


def scorings_of(plan: Plan) -> Scorings:
    """Return how the flow's own functions score, by index; only of indexes that have some.

    Raises:
        ComponentError: a function cannot be made; its text says which and why.
    """
    return {
        index: scoring_of(plan, index)
        for index, described in enumerate(plan.indexes)
        if described.functions
    }


def rankings_of(
    parts: Sequence[ShardPart], queries: int, params: SearchParams, plan: Plan, scorings: Scorings
) -> list[list[Candidate]]:
    """Return one ranking a query; those of several indexes are fused over global ranks."""
    groups = {
        plan.indexes[index].name: _ranked(group, queries, scorings.get(index))
        for index, group in by_index(parts).items()
    }
    if not groups:
        return [[] for _ in range(queries)]
    if not fuses(params, plan):
        return next(iter(groups.values()))
    fusion, wanted = Fusion.of(plan.score, params.weights), wanted_of(params)
    return [
        fusion.fuse({name: rankings[query] for name, rankings in groups.items()}, wanted)
        for query in range(queries)
    ]


def _ranked(
    group: Sequence[ShardPart], queries: int, scoring: Scoring | None
) -> list[list[Candidate]]:
    """Return the rankings of one index, by the shards' scores or by the flow's own functions."""
    if scoring is None or not all(part.extra for part in group):
        return rank(group, queries)
    return Rescored(group, scoring).rankings(queries)
