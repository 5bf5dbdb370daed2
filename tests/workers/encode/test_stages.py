"""Documents through the encode stages of a flow, one stage after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compose.load import load_flow
from compose.planning import plan_of
from compose.wire.messages import DocumentBatch, DocumentItem
from workers import carrying
from workers.encode.tasks import encoded
from workers.handing_on import next_stage
from workers.runtime import Runtime

FLOW = """
name: flow
services:
  - {name: Preprocessor, uses: WholeText}
  - {name: Encoder, uses: HashingEncoder, with: {dim: 512}}
  - {name: Encoder, uses: Binarizer}
  - {name: Indexer, uses: exact}
"""


@pytest.fixture
def state(tmp_path: Path) -> Runtime:
    """Give the runtime of a worker with an empty store and no cache."""
    settings = {"blob_url": f"file://{tmp_path}/blobs", "cache_bytes": 0}
    return Runtime({"settings": settings, "plan": plan_of(load_flow(FLOW)).to_dict()}, ("encode",))


def item_of(texts: list[str], **more: Any) -> DocumentItem:
    """Return a document that is cut into these chunks."""
    many = len(texts)
    cut = {
        "positions": np.arange(many, dtype=np.int32),
        "weights": np.ones(many, np.float32),
        "spans": np.zeros((many, 2), np.int32),
        "chunk_texts": tuple(texts),
    }
    return DocumentItem("long", 1, "text", {}, **{**cut, **more})


def stage_after(state: Runtime, item: DocumentItem) -> int:
    """Return the stage that a document goes to next."""
    batch = DocumentBatch("batch", "flow", 1, "group", 0, 1, 1, (item.to_wire(),))
    return next_stage(state, batch)


@pytest.mark.parametrize("many", [3, 3_000], ids=["few", "more than a message holds"])
def test_a_document_goes_through_all_encoders_of_a_chain(state: Runtime, many: int) -> None:
    """Each reads what the one before it made, which is under the name that it writes itself."""
    first, second = state.plan.stages_of("encode")
    item = item_of([f"line {number}" for number in range(many)])

    (between,) = encoded(state, first, [item], 0)
    (done,) = encoded(state, second, [between], 0)

    assert (second.reads, second.vector) == (first.vector, first.vector)
    assert stage_after(state, item) == first.index
    assert between.embeddings[first.vector].shape == (many, 512)
    assert stage_after(state, between) == second.index
    assert done.error is None
    assert (done.embeddings[""].dtype.name, done.embeddings[""].shape) == ("uint8", (many, 64))
    assert stage_after(state, done) == len(state.plan.stages)


def test_pieces_go_through_all_encoders_of_a_chain(state: Runtime) -> None:
    """The rows of a later stage take the place of those it read, and nothing is left behind."""
    first, second = state.plan.stages_of("encode")
    piece = carrying.piece_of(state, [])
    piece = carrying.with_rows(state, piece, "", np.ones((3, 16), np.float32), first.index)
    item = item_of(["", "", ""], pieces=(piece,))

    (done,) = encoded(state, second, [item], 0)

    assert item.has_rows("", first.index)
    assert stage_after(state, item) == second.index
    np.testing.assert_array_equal(done.embeddings[""], np.full((3, 2), 255, np.uint8))
    scratch = Path(str(state.settings["blob_url"]).removeprefix("file://")) / "scratch"
    assert list(scratch.iterdir()) == []


def test_a_vector_that_a_document_brings_is_encoded_by_nobody(state: Runtime) -> None:
    """Nor is one that was encoded before."""
    brought = item_of([]).with_vector(np.ones(64, np.float32))

    assert stage_after(state, brought) == len(state.plan.stages)
