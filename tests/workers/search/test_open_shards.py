"""The shards of a process follow the layouts of the collection, and tell each other their words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from compose.load import load_flow
from compose.planning import plan_of
from indexstore.model import ChunkTable, Document, EncodedDocument
from tests.servers.valkey import running_valkey
from workers.runtime import Runtime
from workers.search.open_shards import OpenShards
from workers.search.serving import Serving
from workers.search.word_exchange import WordExchange

FLOW = """
name: flow
services:
  - {name: Preprocessor, uses: WholeText}
  - {name: Indexer, id: words, uses: bm25, shards: 3}
"""
TEXTS = ["a rose is a rose", "a tulip", "roses and tulips", "a garden"]


@pytest.fixture
def state(tmp_path: Path) -> Runtime:
    """Give the runtime of a worker with three shards and some documents."""
    settings = {
        "database_url": f"sqlite:///{tmp_path}/gnes.db",
        "blob_url": f"file://{tmp_path}/blobs",
        "data_dir": str(tmp_path),
        "build_rows": 1_000,
    }
    plan = plan_of(load_flow(FLOW))
    queues = tuple(plan.indexes[0].queue(shard) for shard in range(3))
    made = Runtime({"settings": settings, "plan": plan.to_dict()}, queues)
    made.open_store()
    documents = [Document(str(at), "text", {"text": text}) for at, text in enumerate(TEXTS)]
    accepted = made.ledger.accept("flow", documents, lease_s=60)
    rows = [
        EncodedDocument(one.doc_id, version, _chunk_of(str(one.content["text"])))
        for one, version in zip(documents, accepted.versions, strict=True)
    ]
    assert made.log.append("flow", rows, generation=1).indexed == len(TEXTS)
    return made


def _chunk_of(text: str) -> ChunkTable:
    ones, span = np.ones(1, np.float32), np.array([[0, len(text)]], np.int32)
    return ChunkTable(np.zeros(1, np.int32), ones, span, (text,), {})


@pytest.fixture
def waiting() -> Callable[[], None]:
    """Give what waits until no shard is being opened any more."""

    def wait() -> None:
        for thread in threading.enumerate():
            if thread.name == "shard-opener":
                thread.join(10)

    return wait


def shards_of(found: OpenShards) -> set[tuple[int, int]]:
    """Return number and width of the shards that are open."""
    return {(shard, of) for _, shard, of in found.shards}


def test_new_shards_open_beside_those_that_serve(
    state: Runtime, waiting: Callable[[], None]
) -> None:
    """They hold the same documents, and the former shards go when the new ones are settled."""
    found = OpenShards(state)
    found.load()
    before = shards_of(found)
    state.layouts.want("flow", {"words": 2})

    found.follow()
    waiting()
    found.follow()
    beside = shards_of(found)
    state.layouts.settle("flow", {"words": 2})
    found.follow()

    assert before == {(0, 3), (1, 3), (2, 3)}
    assert beside == before | {(0, 2), (1, 2)}
    assert shards_of(found) == {(0, 2), (1, 2)}
    assert sum(shard.stats().documents for shard in found.shards.values()) == len(TEXTS)
    assert sum(former.stats().documents for former in found.former()) == len(TEXTS)


def test_what_nobody_wants_any_more_when_it_is_open_is_closed(
    state: Runtime, waiting: Callable[[], None]
) -> None:
    """A change that is taken back leaves no shard behind that nobody finds."""
    found = OpenShards(state)
    found.load()
    state.layouts.want("flow", {"words": 2})
    found.follow()
    waiting()
    fresh = list(found._fresh.values())
    held = sum(shard.stats().documents for shard in fresh)

    state.layouts.want("flow", {"words": 3})
    found.follow()

    assert held == len(TEXTS)
    assert shards_of(found) == {(0, 3), (1, 3), (2, 3)}
    assert [shard.parts() for shard in fresh] == [(), ()]


def test_words_of_former_layouts_are_forgotten(
    state: Runtime, tmp_path: Path, waiting: Callable[[], None]
) -> None:
    """And learnt again by the shards of a layout that comes back."""
    with running_valkey(tmp_path) as server, server.client() as client:
        state.__dict__["redis"] = client
        serving = Serving(state)
        serving.load()
        exchange = WordExchange(serving, state)

        def change_to(number: int) -> dict[int, int]:
            """Change the layout; return how many documents each shard then knows of elsewhere."""
            state.layouts.want("flow", {"words": number})
            serving.open_shards.follow()
            waiting()
            serving.open_shards.follow()
            state.layouts.settle("flow", {"words": number})
            serving.open_shards.follow()
            for _ in range(2):  # each tells, then each reads
                exchange._exchange_all()
                time.sleep(0.3)  # longer than the pause after so few words
            return {
                shard: sum(table.documents for table in opened._elsewhere)
                for (_, shard, _), opened in serving.open_shards.shards.items()
            }

        two, three, again = change_to(2), change_to(3), change_to(2)

        assert sum(two.values()) == len(TEXTS)
        assert sum(three.values()) == 2 * len(TEXTS)
        assert again == two
        assert {number for _, number in exchange._known} == {0, 1}
        assert change_to(1) == {0: 0}
        assert not exchange._known
        assert not exchange._learnt
