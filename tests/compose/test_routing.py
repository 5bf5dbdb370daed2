"""Routers between layers: GNES's rules, with GNES's counts."""

from collections.abc import Sequence
from itertools import product
from typing import Literal

import pytest

from compose.catalog import Catalog
from compose.flow import Flow, Step
from compose.load import parse_flow
from compose.routing import Graph, is_layered, layer_kind, route

BASE, PUBLISH, REDUCE = "BaseRouter", "PublishRouter", "BaseReduceRouter"
Income = Literal["pull", "sub"]
SERVICES = {"P": "Preprocessor", "E": "Encoder", "I": "Indexer"}

#: id: layers, layers after routing, routers, commands, edges push-pull and pub-sub.
TOPOLOGIES = {
    "topology1": ("P E", 3, [], 3, (3, 0)),
    "topology2": ("P E2 I", 4, [], 5, (6, 0)),
    "topology3": ("P2 E3 I", 5, [BASE], 8, (11, 0)),
    "topology5": ("P2 E I4,I3", 6, [REDUCE, REDUCE, REDUCE], 14, (19, 2)),
    "topology6": ("P2 E3 I4,I3", 8, [BASE, PUBLISH, BASE, BASE, REDUCE], 18, (25, 2)),
    "plain": ("P E I", 4, [], 4, (4, 0)),
    "preprocessing": ("P2", 2, [], 3, (4, 0)),
    "training": ("P3 E", 3, [], 5, (7, 0)),
    "three shards": ("P E I3", 4, [], 6, (8, 0)),
    "two in a row": ("P E I I", 5, [], 5, (5, 0)),
    "two side by side": ("P E I,I", 5, [REDUCE], 6, (5, 2)),
}

#: Eight kinds of layer: components as (replicas, income).
LAYERS: dict[str, list[tuple[int, Income]]] = {
    "S": [(1, "pull")],
    "Np": [(3, "pull")],
    "Ns": [(3, "sub")],
    "H1": [(1, "pull"), (1, "pull")],
    "H1s": [(1, "sub"), (1, "pull")],
    "HMp": [(3, "pull"), (2, "pull")],
    "HMs": [(3, "sub"), (2, "sub")],
    "HMps": [(3, "pull"), (2, "sub")],
}

PAIRS = list(product(LAYERS, LAYERS))


def _flow(text: str, catalog: Catalog) -> Flow:
    """Build a flow of "P2 E I4,I3": services with replicas, layers by spaces, commas beside."""
    layers = []
    for layer in text.split():
        services = [
            f"{{name: {SERVICES[word[0]]}, replicas: {word[1:] or 1}}}" for word in layer.split(",")
        ]
        layers.append(services[0] if len(services) == 1 else f"[{', '.join(services)}]")
    return parse_flow("services:\n" + "".join(f"- {layer}\n" for layer in layers), catalog=catalog)


def _pair(before: Sequence[tuple[int, Income]], after: Sequence[tuple[int, Income]]) -> Graph:
    """Route two layers of routers, one after the other."""
    first = [
        Step(f"a{number}", "Router", replicas=replicas, income=income)
        for number, (replicas, income) in enumerate(before)
    ]
    names = tuple(step.id for step in first)
    second = [
        Step(f"b{number}", "Router", needs=names, replicas=replicas, income=income)
        for number, (replicas, income) in enumerate(after)
    ]
    return route(Flow(steps=(*first, *second)))


@pytest.mark.parametrize("name", TOPOLOGIES)
def test_topologies_of_gnes_have_gnes_s_counts(name: str, catalog: Catalog) -> None:
    """Layers, routers, commands and edges are those of GNES's own examples."""
    text, layers, routers, commands, (pushed, published) = TOPOLOGIES[name]

    graph = route(_flow(text, catalog))

    lines = dict.fromkeys(("push/pull", "pub/sub"), 0)
    for edge in graph.edges:
        lines[edge.pattern] += edge.lines
    assert len(graph.layers) == layers
    assert list(graph.routers) == routers
    assert graph.commands == commands
    assert (lines["push/pull"], lines["pub/sub"]) == (pushed, published)


def test_nodes_have_gnes_s_names(catalog: Catalog) -> None:
    """Service, layer, position: as in GNES's Docker Swarm files."""
    graph = route(_flow("P2 E3 I4,I3", catalog))

    assert [node.id for node in graph.nodes] == [
        "Frontend00", "Preprocessor10", "Router20", "Encoder30", "Router40", "Router50",
        "Router51", "Indexer60", "Indexer61", "Router70",
    ]  # fmt: skip


def test_sockets_meet_and_the_frontend_binds(catalog: Catalog) -> None:
    """One side of each edge binds, the other connects, and the frontend always binds."""
    graph = route(_flow("P E", catalog))

    assert [(node.socket_in, node.socket_out) for node in graph.nodes] == [
        ("PULL_BIND", "PUSH_BIND"),
        ("PULL_CONNECT", "PUSH_BIND"),
        ("PULL_CONNECT", "PUSH_CONNECT"),
    ]


def _expected(before: str, after: str) -> list[list[str]]:
    """Return the routers of GNES's table between two kinds of layer, layer by layer."""
    components = len(LAYERS[after])
    if before.startswith("H"):
        subs = sum(income == "sub" for _, income in LAYERS[before])
        return [[REDUCE] * subs, [REDUCE]] if subs else [[REDUCE]]
    if before == "S":
        return [[REDUCE] * components] if after.startswith("HM") else []
    if after in ("S", "Np"):
        return [] if (before, after) == ("Np", "S") else [[BASE]]
    return [[PUBLISH], [BASE] * components] if after in ("HMp", "HMps") else [[PUBLISH]]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_every_pair_of_layer_kinds_has_its_routers(before: str, after: str) -> None:
    """All 64 pairs: the routers of the table stand between the layers, and nothing else."""
    graph = _pair(LAYERS[before], LAYERS[after])

    start = next(n for n, layer in enumerate(graph.layers) if layer[0].label == "a0") + 1
    end = next(n for n, layer in enumerate(graph.layers) if layer[0].label == "b0")
    between = [[node.router for node in layer] for layer in graph.layers[start:end]]
    assert between == _expected(before, after)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_every_edge_joins_sockets_that_fit(before: str, after: str) -> None:
    """PUSH meets PULL, PUB meets SUB, and of a single pair one binds and one connects."""
    graph = _pair(LAYERS[before], LAYERS[after])

    for edge in graph.edges:
        out, into = edge.source.socket_out.split("_"), edge.target.socket_in.split("_")
        assert {"PUSH": "PULL", "PUB": "SUB"}[out[0]] == into[0], (edge.source.id, edge.target.id)
        assert {out[1], into[1]} == {"BIND", "CONNECT"}, (edge.source.id, edge.target.id)


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_every_node_is_on_a_way_from_the_frontend_and_back(before: str, after: str) -> None:
    """Nothing is left hanging: each node has somebody before and somebody after it."""
    graph = _pair(LAYERS[before], LAYERS[after])

    assert {edge.source.id for edge in graph.edges} == {node.id for node in graph.nodes}
    assert {edge.target.id for edge in graph.edges} == {node.id for node in graph.nodes}


def test_a_publish_router_counts_every_part() -> None:
    """Three subscribing shards are three parts to wait for (GNES waited for one)."""
    graph = _pair(LAYERS["Np"], LAYERS["Ns"])

    assert [node.num_part for node in graph.nodes if node.router == PUBLISH] == [3]


def test_an_empty_flow_is_its_frontend() -> None:
    """No services, no edges, one command."""
    graph = route(Flow())

    assert (graph.commands, graph.edges, len(graph.layers)) == (1, (), 1)


def test_layer_kinds_are_those_of_the_table() -> None:
    """One replica makes income meaningless; of several components the first one's income counts."""
    kinds = {
        name: layer_kind(
            [Step(f"s{n}", "Router", replicas=r, income=i) for n, (r, i) in enumerate(layer)]
        )
        for name, layer in LAYERS.items()
    }

    assert kinds == {
        "S": "S", "Np": "Np", "Ns": "Ns", "H1": "H1", "H1s": "H1",
        "HMp": "HMp", "HMs": "HMs", "HMps": "HMp",
    }  # fmt: skip


def test_flows_of_yaml_are_layered_unless_they_say_needs(catalog: Catalog) -> None:
    """A step that skips a layer makes the flow a graph of its own."""
    skipping = (
        "services:\n- {name: Preprocessor, id: p}\n- {name: Encoder, id: e}\n"
        "- {name: Indexer, needs: [p, e]}\n"
    )

    assert is_layered(_flow("P2 E I4,I3", catalog))
    assert not is_layered(parse_flow(skipping, catalog=catalog))
