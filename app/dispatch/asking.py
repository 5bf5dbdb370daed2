"""Which indexes of the flow a query asks: those that hold vectors like its own, or its words."""

from __future__ import annotations

from collections.abc import Iterator

from app.dispatch.errors import StageError
from app.dispatch.model import SearchQuery
from compose.plan import IndexPlan, Plan


def asked_by(query: SearchQuery, plan: Plan, mode: str) -> tuple[int, ...]:
    """Return the places of the indexes that a query asks.

    Raises:
        StageError: 422 when there is none.
    """
    places = plan.asked(mode)
    if query.using is not None:
        places = tuple(place for place in places if query.using in _names(plan.indexes[place]))
        if not places:
            asked = [plan.indexes[place] for place in plan.asked(mode)]
            known = sorted({name for index in asked for name in _names(index)})
            detail = (
                f"using {query.using!r}: the flow has no such index; there are {', '.join(known)}"
            )
            raise StageError("search", detail, 422)
    elif len(places) == 1:
        return places
    found = tuple(place for place in places if _suits(query, plan, plan.indexes[place]))
    if not found:
        detail = f"no index of the flow holds vectors like this {query.modality}'s, or as long"
        raise StageError("search", detail, 422)
    return found


def _names(index: IndexPlan) -> Iterator[str]:
    """Yield what an index may be called by: its own name, and that of its vector."""
    yield index.name
    if index.vector:
        yield index.vector


def _suits(query: SearchQuery, plan: Plan, index: IndexPlan) -> bool:
    if index.kind == "text":
        return query.text is not None
    if query.rows is not None:
        return index.vector in query.rows
    if query.vector is not None:
        return index.dim in (None, query.vector.shape[-1])
    return index.vector in plan.vectors_of(query.modality)
