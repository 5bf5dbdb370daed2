"""Which routers stand between two layers, and how sockets meet: GNES's rules, as a graph.

Here a router is no process. A ``BaseRouter`` is a queue, a ``PublishRouter`` the header of a chord
over all shards, a ``BaseReduceRouter`` the chord's callback, which merges every part. The graph
shows them where GNES put them, so that a drawing and its counts are those GNES's users know.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from compose.flow import FRONTEND, Flow, Step

Socket = Literal[
    "PUSH_BIND", "PUSH_CONNECT", "PULL_BIND", "PULL_CONNECT",
    "PUB_BIND", "PUB_CONNECT", "SUB_BIND", "SUB_CONNECT",
]  # fmt: skip
LayerKind = Literal["S", "Np", "Ns", "H1", "HMp", "HMs"]


@dataclass(frozen=True, slots=True)
class Node:
    """One component of the routed graph; ``router`` is the kind of a router that was put in."""

    service: str
    layer: int
    position: int
    replicas: int = 1
    income: str = "pull"
    socket_in: Socket = "PULL_BIND"
    socket_out: Socket = "PUSH_BIND"
    router: str = ""
    num_part: int | None = None
    step: Step | None = None

    @property
    def id(self) -> str:
        """GNES's name for it: service, layer and position, as in ``Router50``."""
        return f"{self.service}{self.layer}{self.position}"

    @property
    def label(self) -> str:
        """What a drawing writes on it."""
        return self.router or (self.step.id if self.step else self.service)


@dataclass(frozen=True, slots=True)
class Edge:
    """Messages from one node to another; a drawing has one line for each pair of replicas."""

    source: Node
    target: Node

    @property
    def pattern(self) -> str:
        """``pub/sub`` when every target gets every message, else ``push/pull``."""
        return "pub/sub" if self.source.socket_out.startswith("PUB") else "push/pull"

    @property
    def lines(self) -> int:
        """How many pairs of replicas it joins."""
        return self.source.replicas * self.target.replicas


@dataclass(frozen=True, slots=True)
class Graph:
    """The layers of a flow with the frontend first and all routers in place, and their edges."""

    layers: tuple[tuple[Node, ...], ...]
    edges: tuple[Edge, ...]

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, layer by layer."""
        return tuple(node for layer in self.layers for node in layer)

    @property
    def routers(self) -> tuple[str, ...]:
        """The kinds of the routers that were put in, in order."""
        return tuple(node.router for node in self.nodes if node.router)

    @property
    def commands(self) -> int:
        """How many processes GNES would have started."""
        return sum(node.replicas for node in self.nodes)

    @property
    def lines(self) -> int:
        """How many edges GNES's drawing has."""
        return sum(edge.lines for edge in self.edges)


@dataclass(slots=True)
class _Part:
    """A node under construction; its layer and position are known only at the end."""

    node: Node
    sources: list["_Part"] = field(default_factory=list)

    def set(self, *, into: Socket | None = None, out: Socket | None = None) -> None:
        self.node = replace(
            self.node,
            socket_in=into or self.node.socket_in,
            socket_out=out or self.node.socket_out,
        )

    @property
    def is_sub(self) -> bool:
        return self.node.income == "sub" and self.node.replicas > 1

    @property
    def wants_sub(self) -> bool:
        return self.node.income == "sub"


_Layer = list[_Part]


def layer_kind(steps: Sequence[Step | Node]) -> LayerKind:
    """Return what a layer is to its neighbours.

    S: one component. N: one with replicas, which pull or subscribe. H1: several components. HM:
    several, some with replicas; the first one's income speaks for all.
    """
    copies = [step.copies if isinstance(step, Step) else step.replicas for step in steps]
    is_sub = steps[0].income == "sub"
    if len(steps) == 1:
        return "S" if copies[0] == 1 else "Ns" if is_sub else "Np"
    if all(number == 1 for number in copies):
        return "H1"
    return "HMs" if is_sub else "HMp"


def route(flow: Flow) -> Graph:
    """Return the graph of a layered flow: its layers, the routers between them, the way back."""
    frontend = _Part(Node(FRONTEND, 0, 0))
    layers: list[_Layer] = [[frontend]]
    for steps in flow.layers:
        _join(layers, [_part(step) for step in steps])
    if len(layers) == 1:
        return Graph(((frontend.node,),), ())
    closing = _Part(Node(FRONTEND, 0, 0))
    _join(layers, [closing])
    layers.pop()
    _bind_frontend(frontend, closing, layers[-1])
    return _graph(layers, closing)


def is_layered(flow: Flow) -> bool:
    """Whether every step needs exactly the layer before it, as steps of GNES's YAML do."""
    layers = flow.layers
    return all(
        set(step.needs) == {other.id for other in before}
        for before, layer in pairwise(layers)
        for step in layer
    )


def _part(step: Step) -> _Part:
    return _Part(Node(step.service, 0, 0, step.copies, step.income, step=step))


def _router(kind: str, into: Socket, out: Socket, *, num_part: int | None = None) -> _Part:
    return _Part(Node("Router", 0, 0, 1, "pull", into, out, kind, num_part))


def _join(layers: list[_Layer], after: _Layer) -> None:
    """Append a layer, with the routers that must stand between it and the one before."""
    before = layers[-1]
    source = layer_kind([part.node for part in before])
    target = layer_kind([part.node for part in after])
    if source == "S":
        _after_single(layers, before, after, target)
    elif source in ("Np", "Ns"):
        _after_replicas(layers, before, after, source, target)
    else:
        _after_several(layers, before, after)
    layers.append(after)


def _connect(sources: Iterable[_Part], targets: Iterable[_Part]) -> None:
    senders = list(sources)
    for target in targets:
        target.sources.extend(senders)


def _sockets(
    parts: Iterable[_Part], *, into: Socket | None = None, out: Socket | None = None
) -> None:
    for part in parts:
        part.set(into=into, out=out)


def _after_single(layers: list[_Layer], before: _Layer, after: _Layer, target: LayerKind) -> None:
    """R1, R2, R4, R6: one component can publish or push by itself."""
    if target in ("S", "Np"):
        _sockets(before, out="PUSH_BIND")
        _sockets(after, into="PULL_CONNECT")
        _connect(before, after)
        return
    _sockets(before, out="PUB_BIND")
    if target in ("Ns", "H1"):
        _sockets(after, into="SUB_CONNECT")
        _connect(before, after)
        return
    routers = []
    for part in after:
        out: Socket = "PUB_BIND" if part.wants_sub else "PUSH_BIND"
        router = _router("BaseReduceRouter", "SUB_CONNECT", out)
        part.set(into="SUB_CONNECT" if part.wants_sub else "PULL_CONNECT")
        _connect([router], [part])
        routers.append(router)
    _connect(before, routers)
    layers.append(routers)


def _after_replicas(
    layers: list[_Layer], before: _Layer, after: _Layer, source: LayerKind, target: LayerKind
) -> None:
    """R3, R5, R7, R9, R10: replicas must be gathered before they can be dealt out again."""
    _sockets(before, out="PUSH_CONNECT")
    if source == "Np" and target == "S":
        _sockets(after, into="PULL_BIND")
        _connect(before, after)
        return
    if target in ("S", "Np"):
        router = _router("BaseRouter", "PULL_BIND", "PUSH_BIND")
        _sockets(after, into="PULL_CONNECT")
        last = [router]
    else:
        router = _router("PublishRouter", "PULL_BIND", "PUB_BIND", num_part=_parts(after))
        _sockets(after, into="SUB_CONNECT")
        last = [router]
    _connect(before, [router])
    layers.append([router])
    if target == "HMp":
        last = [_router("BaseRouter", "SUB_CONNECT", "PUSH_BIND") for _ in after]
        _connect([router], last)
        layers.append(last)
        for one, part in zip(last, after, strict=True):
            part.set(into="PULL_CONNECT")
            _connect([one], [part])
        return
    _connect(last, after)


def _parts(after: _Layer) -> int:
    """How many answers a publish must wait for: each subscriber's, be it a shard or a component."""
    return sum(part.node.replicas if part.is_sub else 1 for part in after)


def _after_several(layers: list[_Layer], before: _Layer, after: _Layer) -> None:
    """R8: what several components answer is merged before anyone else sees it."""
    _sockets(before, out="PUSH_CONNECT")
    senders: list[_Part] = [part for part in before if not part.wants_sub]
    routers = []
    for part in before:
        if part.wants_sub:
            router = _router("BaseReduceRouter", "PULL_BIND", "PUSH_CONNECT")
            _connect([part], [router])
            routers.append(router)
    if routers:
        layers.append(routers)
    merge = _router("BaseReduceRouter", "PULL_BIND", "PUSH_BIND")
    _connect([*senders, *routers], [merge])
    layers.append([merge])
    _sockets(after, into="PULL_CONNECT")
    _connect([merge], after)


def _bind_frontend(frontend: _Part, closing: _Part, last: _Layer) -> None:
    """The frontend is the side that binds: it has the one address everyone knows."""
    into = closing.node.socket_in
    if into == "PULL_CONNECT":
        _sockets(last, out="PUSH_CONNECT")
        into = "PULL_BIND"
    elif into == "SUB_CONNECT":
        _sockets(last, out="PUB_CONNECT")
        into = "SUB_BIND"
    frontend.set(into=into)
    closing.node = frontend.node


def _graph(layers: list[_Layer], closing: _Part) -> Graph:
    placed: dict[int, Node] = {}
    for number, layer in enumerate(layers):
        for position, part in enumerate(layer):
            placed[id(part)] = replace(part.node, layer=number, position=position)
    parts = [part for layer in layers for part in layer]
    placed[id(closing)] = placed[id(parts[0])]
    edges = tuple(_edges([*parts, closing], placed))
    return Graph(
        tuple(tuple(placed[id(part)] for part in layer) for layer in layers),
        edges,
    )


def _edges(parts: Iterable[_Part], placed: dict[int, Node]) -> Iterator[Edge]:
    for part in parts:
        for source in part.sources:
            yield Edge(placed[id(source)], placed[id(part)])
