"""What the boxes of a drawing stand for."""

from compose.load import load_flow, parse_flow
from compose.planning import plan_of
from compose.render.boxes import queues_of_boxes

WIDE = """\
name: wide
services:
  - {name: Preprocessor, replicas: 2}
  - {name: Encoder, uses: Hashing}
  - - {name: Indexer, id: Near, uses: exact, shards: 2, replicas: 2}
    - {name: Indexer, id: Words, uses: bm25}
"""


def test_each_box_of_a_layered_flow_has_its_queue() -> None:
    """Replicas share a queue, shards have one each, and what merges is the reduction's."""
    flow = parse_flow(WIDE)

    boxes = queues_of_boxes(flow, plan_of(flow))

    assert boxes.pop("Preprocessor10_0") == boxes.pop("Preprocessor10_1") == ("preprocess",)
    assert set(boxes.values()) == {
        ("encode",), ("search.wide.0",), ("search.wide.1",), ("search.wide.words.0",), ("reduce",),
    }  # fmt: skip


def test_each_box_of_a_free_flow_has_all_its_queues() -> None:
    """Where steps name their needs, a step is one box."""
    text = (
        "services:\n- {name: Preprocessor, id: cut}\n- {name: Encoder, id: a, needs: cut, uses: "
        "Hashing}\n- {name: Indexer, id: near, needs: a, shards: 2}\n"
        "- {name: Indexer, id: words, needs: cut, uses: bm25}\n"
    )
    flow = load_flow(text)

    plan = plan_of(flow)
    boxes = queues_of_boxes(flow, plan)

    assert boxes["cut"] == ("preprocess",)
    assert len(boxes["near"]) == 2
    assert boxes.items() >= {index.name: index.queues() for index in plan.indexes}.items()


def test_routers_before_the_shards_merge_nothing() -> None:
    """GNES put reducers there too; here they are nobody's queue."""
    flow = parse_flow(WIDE)

    boxes = queues_of_boxes(flow, plan_of(flow))

    assert [box for box, queues in boxes.items() if queues == ("reduce",)] == ["Router50"]
