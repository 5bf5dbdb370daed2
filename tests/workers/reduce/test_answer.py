"""What answers show: stored documents beside hits of several shards (GNES's cases 14.4)."""

from collections.abc import Mapping, Sequence

import numpy as np
import orjson
import pytest

from compose.load import load_flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.wire.messages import SearchParams, ShardPart
from indexstore.model import ChunkTable, LiveDocument
from workers.component import Floats, Reranker
from workers.preprocess.images import SlidingWindows
from workers.reduce.answer import Answerer
from workers.reduce.merge import rank
from workers.reduce.reranking import SecondStage
from workers.reduce.scoring import cells_of

FLOW = "services:\n- {name: Encoder, uses: Hashing}\n- {name: Indexer, uses: exact}\n"


class Longest(Reranker):
    """Long texts come first."""

    def rerank(self, query: str, texts: Sequence[str]) -> Floats:
        """Return the lengths."""
        del query
        return np.array([len(text) for text in texts], np.float32)


@pytest.fixture(scope="module")
def plan() -> Plan:
    """One vector index."""
    return plan_of(load_flow(FLOW))


def part(shard: int, hits: Mapping[str, float]) -> ShardPart:
    """Return a shard's answer to one query."""
    return ShardPart(
        0, shard, counts=np.array([len(hits)], np.int32), doc_ids=tuple(hits),
        versions=np.ones(len(hits), np.int64), scores=np.array([*hits.values()], np.float32),
    )  # fmt: skip


def live(*doc_ids: str) -> dict[str, LiveDocument | None]:
    """Return the ledger's word on some documents."""
    return {i: LiveDocument(1, 1, {"text": f"text {i}"}, {"n": i}, 1.0) for i in doc_ids}


def no_chunks(_: Sequence[str]) -> Mapping[str, ChunkTable]:
    """Know no vectors: nobody asks for them here."""
    return {}


@pytest.mark.parametrize(("limit", "ids"), [(5, ["3", "2", "1"]), (2, ["3", "2"])])
def test_hits_of_all_shards_are_filled_with_their_documents(
    plan: Plan, limit: int, ids: list[str]
) -> None:
    """Best first, cut to what was asked for, each with its content whatever shard it came from."""
    (ranking,) = rank([part(0, {"1": 0.1}), part(1, {"2": 0.2, "3": 0.3})], 1)
    answerer = Answerer(SearchParams(limit=limit), live("1", "2", "3"), plan, no_chunks)

    rows, alive = answerer.hits(ranking, "")

    hits = orjson.loads(rows)
    assert [hit["id"] for hit in hits] == ids
    assert [hit["content"]["text"] for hit in hits] == [f"text {i}" for i in ids]
    assert alive == 3


@pytest.mark.parametrize(("documents", "shown"), [(20, 5), (3, 3)])
def test_a_second_stage_gives_as_many_as_there_are_or_were_asked_for(
    plan: Plan, documents: int, shown: int
) -> None:
    """Five of twenty, three of three, in the reranker's order."""
    names = [f"d{i:02}" for i in range(1, documents + 1)]
    texts = {
        name: LiveDocument(1, 1, {"text": "x" * length}, {}, 1.0)
        for length, name in enumerate(names, 1)
    }
    (ranking,) = rank([part(0, {name: 1.0 - n / 100 for n, name in enumerate(names)})], 1)

    again = SecondStage((Longest(),), 32).rerank(ranking, "a question", texts, 5)
    rows, _ = Answerer(SearchParams(limit=5), texts, plan, no_chunks).hits(again, "")

    found = [hit["id"] for hit in orjson.loads(rows)]
    assert found == sorted(texts, reverse=True)[:shown]


def test_windows_of_a_picture_lie_in_gnes_s_cells() -> None:
    """Nine windows of 128 x 128, row by row: the last two of each row and column share a cell."""
    windows = SlidingWindows(window_size=64, stride_wide=64, stride_height=64)
    chunks = windows.cut(np.zeros((128, 128, 3), np.uint8))
    boxes = np.array([chunk.span for chunk in chunks], np.float32)

    cells = cells_of(boxes, np.zeros(len(boxes), np.int64))

    assert cells is not None
    assert [(row, column) for column, row in cells.astype(int).tolist()] == [
        (0, 0), (0, 2), (0, 2), (2, 0), (2, 2), (2, 2), (2, 0), (2, 2), (2, 2),
    ]  # fmt: skip
