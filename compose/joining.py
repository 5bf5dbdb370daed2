"""Encoders side by side whose vectors a router makes one: at run time they are one encoder."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from compose.flow import Flow, Step
from compose.plan import ComponentSpec

AVERAGE = "AvgEmbedRouter"
#: The routers that make several embeddings one, and the encoder that does so at run time.
JOINS: Mapping[str, str] = {
    "ConcatEmbedRouter": "ConcatEncoder",
    AVERAGE: "AverageEncoder",
}


def joined(flow: Flow) -> Flow:
    """Return the flow with each such router and its encoders as one step."""
    for router in flow.of_service("Router"):
        sources = joined_by(router, flow)
        if len(sources) > 1:
            flow = _with_one(flow, sources, router)
    return flow


def joined_by(router: Step, flow: Flow) -> list[Step]:
    """Return the encoders whose embeddings a router joins, if it does so."""
    spec = router.component
    if spec is None or spec.uses not in JOINS:
        return []
    return [step for step in flow.steps if step.id in router.needs and step.service == "Encoder"]


def _with_one(flow: Flow, sources: list[Step], router: Step) -> Flow:
    uses = JOINS[router.component.uses] if router.component else ""
    first = sources[0]
    modalities = [key for key in first.branches if all(key in one.branches for one in sources)]
    branches = {
        key: ComponentSpec(uses, pipeline=tuple(one.branches[key] for one in sources))
        for key in modalities
    }
    dims = [one.dim for one in sources]
    dim = None if None in dims else sum(d or 0 for d in dims)
    if uses == "AverageEncoder":
        dim = first.dim
    metric = first.metric if uses != "AverageEncoder" and _agree(sources) else ""
    needs = tuple(dict.fromkeys(need for one in sources for need in one.needs))
    replicas = max(one.replicas for one in sources)
    changed: dict[str, Any] = {"branches": branches, "needs": needs, "dim": dim, "metric": metric}
    one = replace(first, replicas=replicas, **changed)
    gone = {step.id for step in (*sources[1:], router)}
    steps = [one if step.id == first.id else step for step in flow.steps if step.id not in gone]
    return replace(flow, steps=tuple(_renamed(step, gone, first.id) for step in steps))


def _agree(sources: list[Step]) -> bool:
    """Tell whether the codes of all encoders are compared in the same way."""
    return len({one.metric for one in sources}) == 1


def _renamed(step: Step, gone: set[str], name: str) -> Step:
    """Return a step that needs the joined encoder where it needed a part of it."""
    needs = tuple(dict.fromkeys(name if need in gone else need for need in step.needs))
    return replace(step, needs=tuple(need for need in needs if need != step.id))
