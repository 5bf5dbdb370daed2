"""Space comes back by itself: after a large delete the disk and the memory hold less."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.cli.machine import rss_bytes
from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DIM, DOCUMENTS, BATCH = 1_024, 15_000, 500
FLOW = f"""\
name: space
services:
  - {{name: Preprocessor, uses: SentenceSplitter}}
  - {{name: Encoder, uses: Hashing, with: {{dim: {DIM}}}}}
  - {{name: Indexer, uses: exact}}
"""
SETTINGS = {
    "GNES_BUILD_ROWS": "2000",
    "GNES_RETIRED_GRACE_S": "2",
    "GNES_LOG_KEEP_SEQS": "0",
    "GNES_UPKEEP_INTERVAL_S": "1",
}


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Deployment]:
    """Run an exact index, whose searches read every vector that it holds."""
    flow = tmp_path / "space.yml"
    flow.write_text(FLOW)
    with deployed(tmp_path, flow, **SETTINGS) as made:
        yield made


def test_deleting_nine_of_ten_gives_disk_and_memory_back(it: Deployment) -> None:
    """Nobody asks for it: log, segments and the search worker shrink within a minute.

    Beside the index a worker keeps what Python and SQLite hold for the next time.
    """
    store(it, range(BATCH))
    little = memory(it)  # all that a search needs is loaded by now
    for first in range(BATCH, DOCUMENTS, BATCH):
        store(it, range(first, first + BATCH))
    wait_until(lambda: held(it) == DOCUMENTS and settled(it), 120, it.story)
    full_disk, full_memory = disk(it), memory(it)

    path = f"/v1/collections/{it.collection}/documents/delete"
    one_in_ten = {"must": [{"key": "n", "range": {"gte": 1}}]}
    gone = it.client.post(path, json={"filter": one_in_ten}, timeout=60).json()["deleted"]
    assert len(gone) == DOCUMENTS * 9 // 10
    assert len(everything(it)) == 1000

    wait_until(lambda: disk(it) < 0.25 * full_disk, 60, lambda: f"{disk(it)} of {full_disk}")
    wait_until(
        lambda: memory(it) - little < 0.5 * (full_memory - little),
        60,
        lambda: f"{memory(it)} from {full_memory}, with little {little}",
    )
    assert held(it) == DOCUMENTS // 10
    assert set(everything(it)) <= {f"d{n}" for n in range(0, DOCUMENTS, 10)}


def store(it: Deployment, numbers: range) -> None:
    """Store documents that bring their vectors, and wait until they are found."""
    rows = np.random.default_rng(numbers.start).standard_normal((len(numbers), DIM)).round(3)
    it.index(
        *(
            {"id": f"d{n}", "text": f"t{n}", "vector": row, "tags": {"n": n % 10}}
            for n, row in zip(numbers, rows.tolist(), strict=True)
        )
    )


def everything(it: Deployment) -> list[str]:
    """Search by scanning, and return the ids of a thousand hits."""
    return it.ids(query={"vector": [1.0] * DIM}, limit=1000, timeout_ms=5000)


def shard(it: Deployment) -> dict[str, int]:
    """Return what the search worker says of its shard."""
    (found,) = it.client.get("/v1/shards").json()["shards"][0]["replicas"]
    return dict(found)


def held(it: Deployment) -> int:
    """Return how many documents the shard shows."""
    return shard(it)["documents"]


def settled(it: Deployment) -> bool:
    """Tell whether segments hold all but a few of the vectors."""
    return shard(it)["delta_rows"] < 1000


def disk(it: Deployment) -> int:
    """Return the bytes of the database and the segments."""
    folder = it.folder / "d"
    files = [*folder.glob("gnes.db*"), *(folder / "blobs").rglob("*")]
    return sum(path.stat().st_size for path in files if path.is_file())


def memory(it: Deployment) -> int:
    """Return the bytes that the search worker holds, just after a scan of all its vectors."""
    everything(it)
    return rss_bytes(it.pids()["search-space-0"])
