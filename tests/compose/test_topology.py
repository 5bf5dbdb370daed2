"""Edges between named steps: GNES's labels."""

from compose.flow import Flow, Step
from compose.topology import links


def _links(*steps: tuple[str, tuple[str, ...]]) -> list[str]:
    """Return the edges of routers with these needs, as text."""
    made = tuple(Step(name, "Router", needs=needs) for name, needs in steps)
    return [str(link) for link in links(Flow(steps=made))]


def test_the_frontend_binds_both_of_its_ends() -> None:
    """One router: out to it, back from it."""
    assert _links(("Router0", ())) == [
        "Frontend0-Router0 PUSH-pull",
        "Router0-Frontend0 push-PULL",
    ]


def test_a_row_binds_and_connects_in_turn() -> None:
    """Eight routers in a row have nine edges, each with one side that binds."""
    row = [("r0", ()), *((f"r{n}", (f"r{n - 1}",)) for n in range(1, 8))]

    edges = _links(*row)

    assert len(edges) == 9
    assert all(edge.endswith("PUSH-pull") for edge in edges[:-1])
    assert edges[-1] == "r7-Frontend0 push-PULL"


def test_who_feeds_several_publishes_and_who_is_fed_by_several_gathers() -> None:
    """Two routers from the frontend, reduced by one."""
    assert _links(("r0", ()), ("r1", ()), ("reduce", ("r0", "r1"))) == [
        "Frontend0-r0 PUB-sub",
        "Frontend0-r1 PUB-sub",
        "r0-reduce push-PULL",
        "r1-reduce push-PULL",
        "reduce-Frontend0 push-PULL",
    ]


def test_after_a_gathering_step_the_next_one_binds() -> None:
    """The side that is fed by several has bound its entry, so it connects its exit."""
    edges = _links(("a", ()), ("b", ()), ("both", ("a", "b")), ("next", ("both",)))

    assert "both-next push-PULL" in edges


def test_names_with_a_common_beginning_are_different() -> None:
    """GNES counted r10 as a target of r1."""
    edges = _links(("r1", ()), ("r10", ("r1",)), ("r11", ("r10",)))

    assert "r1-r10 PUSH-pull" in edges
    assert "r10-r11 PUSH-pull" in edges
