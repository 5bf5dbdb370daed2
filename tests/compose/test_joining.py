"""Encoders side by side before a router that joins their vectors."""

import pytest

from compose.load import load_flow
from compose.plan import Plan
from compose.planning import plan_of

FLOW = """
name: joined
services:
  - name: Preprocessor
    uses: SentenceSplitter
  - - {name: Encoder, uses: Hashing, with: {dim: %d}}
    - {name: Encoder, uses: Hashing, with: {dim: 64}}
  - {name: Router, uses: %s}
  - {name: Indexer, uses: exact}
"""


def plan(dim: int, router: str) -> Plan:
    """Return the plan of two encoders before a router."""
    return plan_of(load_flow(FLOW % (dim, router)))


@pytest.mark.parametrize(
    ("router", "dim", "joined"), [("ConcatEmbedRouter", 32, 96), ("AvgEmbedRouter", 64, 64)]
)
def test_encoders_before_such_a_router_are_one(router: str, dim: int, joined: int) -> None:
    """One stage encodes with both, and the index holds what they make together."""
    made = plan(dim, router)

    (stage,) = made.stages_of("encode")
    spec = stage.component("text")
    assert spec is not None
    assert [part.uses for part in spec.pipeline] == ["Hashing", "Hashing"]
    assert made.indexes[0].dim == joined
    assert made.queues() == ("preprocess", "encode", "index", "search.joined.0", "reduce", "build")


def test_other_routers_leave_encoders_apart() -> None:
    """Behind any other router each encoder has its own vectors."""
    assert len(plan(64, "BaseReduceRouter").stages_of("encode")) == 2


def test_the_index_may_say_the_joined_dimension() -> None:
    """What the index wants is compared with what the encoders make together."""
    text = (FLOW % (32, "ConcatEmbedRouter")).replace("uses: exact", "uses: exact, with: {dim: 96}")

    assert plan_of(load_flow(text)).indexes[0].dim == 96
