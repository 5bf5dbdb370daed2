"""The edges of a flow whose steps name what they need: GNES's Flow, as a graph.

A step that feeds several publishes, a step fed by several gathers; between one and one the side
that is already known binds. Capitals bind, small letters connect: ``PUSH-pull``.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from compose.errors import Fault, FlowTopologyError
from compose.flow import Flow

FRONTEND_NAME = "Frontend0"

Label = Literal["PUB-sub", "push-PULL", "PUSH-pull"]


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """Messages from one named step to another."""

    source: str
    target: str
    label: Label

    def __str__(self) -> str:
        return f"{self.source}-{self.target} {self.label}"


def links(flow: Flow) -> tuple[Link, ...]:
    """Return every edge of a flow, the frontend's included, in the order of its steps.

    Raises:
        FlowTopologyError: an edge would have to publish and to gather at once.
    """
    pairs = list(_pairs(flow))
    outs = Counter(source for source, _ in pairs)
    ins = Counter(target for _, target in pairs)
    labels: dict[tuple[str, str], Label] = {}
    for source, target in pairs:
        labels[source, target] = _label(source, target, outs, ins, labels)
    return tuple(Link(source, target, label) for (source, target), label in labels.items())


def _pairs(flow: Flow) -> Iterable[tuple[str, str]]:
    needed = {name for step in flow.steps for name in step.needs}
    for step in flow.steps:
        yield from ((name, step.id) for name in step.needs or (FRONTEND_NAME,))
    yield from ((step.id, FRONTEND_NAME) for step in flow.steps if step.id not in needed)


def _label(
    source: str,
    target: str,
    outs: Counter[str],
    ins: Counter[str],
    known: dict[tuple[str, str], Label],
) -> Label:
    publishes, gathers = outs[source] > 1, ins[target] > 1
    if publishes and gathers:
        problem = f"{source!r} publishes to several and {target!r} gathers from several"
        expected = "a router between them"
        raise FlowTopologyError(Fault("flow", 0, 0, f"{source}-{target}", problem, expected))
    if publishes:
        return "PUB-sub"
    if gathers or target == FRONTEND_NAME:
        return "push-PULL"
    if source == FRONTEND_NAME:
        return "PUSH-pull"
    gathered = any(end == source and label == "push-PULL" for (_, end), label in known.items())
    return "push-PULL" if gathered else "PUSH-pull"
