"""Mermaid graphs: GNES's picture of a flow."""

from collections.abc import Callable

from compose.flow import Flow
from compose.render.mermaid import mermaid

FlowOf = Callable[[str], Flow]


def test_each_replica_is_a_box_and_each_pair_an_edge(flow_of: FlowOf) -> None:
    """GNES's sixth topology has eighteen boxes and twenty-seven edges."""
    text = mermaid(
        flow_of(
            "services:\n- {name: Preprocessor, replicas: 2}\n- {name: Encoder, replicas: 3}\n"
            "- [{name: Indexer, replicas: 4}, {name: Indexer, replicas: 3}]\n"
        )
    )

    edges = [line for line in text.splitlines() if "-->" in line]
    assert len(edges) == 27
    assert sum("|pub/sub|" in edge for edge in edges) == 2
    assert sum(":::" in line for line in text.splitlines()) == 18


def test_routers_are_round(flow_of: FlowOf) -> None:
    """What was put in between looks different from what was written."""
    text = mermaid(
        flow_of("services:\n- {name: Preprocessor, replicas: 2}\n- {name: Encoder, replicas: 2}\n")
    )

    assert '  Router20(("BaseRouter")):::Router\n' in text


def test_it_runs_down_or_to_the_right(flow_of: FlowOf) -> None:
    """GNES's two directions."""
    flow = flow_of("services: []")

    assert mermaid(flow).startswith("graph TD\n")
    assert mermaid(flow, left_right=True).startswith("graph LR\n")


def test_flows_with_needs_are_drawn_as_they_are_joined(flow_of: FlowOf) -> None:
    """No layers, no routers: the steps' own names and GNES's labels."""
    text = mermaid(
        flow_of(
            "services:\n- {name: Preprocessor, id: prep}\n- {name: Encoder, id: enc, needs: prep}\n"
            "- {name: Indexer, id: words, uses: bm25, needs: prep}\n"
            "- {name: Indexer, id: vecs, needs: enc}\n"
            "- {name: Router, id: end, needs: [words, vecs]}\n"
        )
    )

    assert "  Frontend0 -->|PUSH-pull| prep\n" in text
    assert "  prep -->|PUB-sub| words\n" in text
    assert " end " not in text
