"""What a drawing of a flow shows: boxes in columns, and the lines between them.

Layered flows are drawn with GNES's routers in place; flows whose steps name their needs as the
graph they are. Mermaid and SVG draw the same picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from compose.flow import FRONTEND, Flow, Step
from compose.routing import Node, is_layered, route
from compose.topology import FRONTEND_NAME, links

#: Colours by kind: fill, line; dark text on both.
COLOURS = {
    "Frontend": ("#ffe5b4", "#b36b00"),
    "Preprocessor": ("#d8f0d8", "#2e7d32"),
    "Encoder": ("#d6e4ff", "#1d4ed8"),
    "Indexer": ("#f3d9fa", "#86198f"),
    "Router": ("#eceff1", "#546e7a"),
}


@dataclass(frozen=True, slots=True)
class Box:
    """One thing in the drawing: a service, or one of its replicas or shards."""

    id: str
    lines: tuple[str, ...]
    kind: str
    layer: int
    is_router: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A line between two boxes; ``label`` says how messages travel on it."""

    source: str
    target: str
    label: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture of a flow."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]


def draw(flow: Flow) -> Drawing:
    """Return the picture of a flow.

    Raises:
        FlowTopologyError: the steps are joined as no router can serve.
    """
    return _layered(flow) if is_layered(flow) else _free(flow)


def _layered(flow: Flow) -> Drawing:
    graph = route(flow)
    boxes = tuple(box for node in graph.nodes for box in _replicas(node))
    arrows = tuple(
        Arrow(_name(edge.source, source), _name(edge.target, target), edge.pattern)
        for edge in graph.edges
        for source in range(edge.source.replicas)
        for target in range(edge.target.replicas)
    )
    return Drawing(boxes, arrows)


def _name(node: Node, replica: int) -> str:
    return node.id if node.replicas == 1 else f"{node.id}_{replica}"


def _replicas(node: Node) -> Iterator[Box]:
    for replica in range(node.replicas):
        words = _words(node.step) if node.step else ()
        if node.replicas > 1:
            noun = "shard" if node.service == "Indexer" else "replica"
            words = (*words, f"{noun} {replica}")
        if node.num_part:
            words = (f"{node.num_part} parts",)
        name = _name(node, replica)
        yield Box(name, (node.label, *words), node.service, node.layer, bool(node.router))


def _words(step: Step) -> tuple[str, ...]:
    """Return the names of a step's components, each once."""
    specs = [part for spec in step.branches.values() for part in spec.pipeline or (spec,)]
    return tuple(dict.fromkeys(spec.uses for spec in specs if spec.uses))


def _free(flow: Flow) -> Drawing:
    boxes = [Box(FRONTEND_NAME, (FRONTEND_NAME,), FRONTEND, 0)]
    for number, layer in enumerate(flow.layers):
        boxes += [
            Box(step.id, (step.id, *_words(step), *_count(step)), step.service, number + 1)
            for step in layer
        ]
    arrows = (Arrow(link.source, link.target, link.label) for link in links(flow))
    return Drawing(tuple(boxes), tuple(arrows))


def _count(step: Step) -> tuple[str, ...]:
    if step.copies == 1:
        return ()
    return (f"{step.copies} {'shards' if step.service == 'Indexer' else 'replicas'}",)
