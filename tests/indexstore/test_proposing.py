"""A filter costs no neighbour, however few documents pass and wherever they lie."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexstore.engines.base import RowMask
from indexstore.lists import Lists, write_lists
from indexstore.model import Float32, IndexConfig, Metric
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from tests.indexstore.shard_bed import Bed, Stored, pairs

DIM, ROWS, QUERIES = 24, 20_000, 12
SHARES = (0.001, 0.01, 0.1, 0.5, 0.99)


def clustered(count: int, seed: int) -> Float32:
    """Return unit rows that lie in clusters, the same for every seed."""
    centres = np.random.default_rng(0).standard_normal((60, DIM))
    rng = np.random.default_rng(seed)
    rows = centres[rng.integers(0, 60, count)] + 0.7 * rng.standard_normal((count, DIM))
    unit: Float32 = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


ROW_TABLE = clustered(ROWS, 1)
ASKED = clustered(QUERIES, 2)
#: The place of each row among all by its distance to the first query, and by chance.
NEAR = np.argsort(np.argsort(-(ROW_TABLE @ ASKED[0])))
CHANCE = np.random.default_rng(3).permutation(ROWS)


@pytest.fixture(scope="module", params=["hnsw", "faiss"])
def shard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shard:
    """A shard of one segment, large enough to have neighbourhoods."""
    bed = Bed(tmp_path_factory.mktemp("shard"))
    bed.put(
        {
            f"{n:05}": Stored(
                row[None], np.ones(1, np.float32), tags={"near": int(near), "chance": int(chance)}
            )
            for n, (row, near, chance) in enumerate(zip(ROW_TABLE, NEAR, CHANCE, strict=True))
        }
    )
    options = {"factory": "IVF128,SQ8"} if request.param == "faiss" else {}
    config = IndexConfig("v", engine=request.param, options=options, dim=DIM)
    bed.build(config)
    shard = Shard.open(bed.place(config))
    assert shard.parts()[0].lists is not None
    return shard


def conditions() -> list[tuple[str, float, Mapping[str, Any], np.ndarray[Any, Any]]]:
    """Return filters with what they let pass: by chance, near the queries, far from them."""
    return [
        (kind, share, {"key": key, "range": {bound: limit}}, passing)
        for share in SHARES
        for kind, key, bound, limit, passing in (
            ("chance", "chance", "lt", share * ROWS, share * ROWS > CHANCE),
            ("near", "near", "lt", share * ROWS, share * ROWS > NEAR),
            ("far", "near", "gte", (1 - share) * ROWS, (1 - share) * ROWS <= NEAR),
        )
    ]


@pytest.mark.parametrize("batch", [1, QUERIES])
def test_nothing_is_lost_under_a_filter(shard: Shard, batch: int) -> None:
    """Of the ten best that pass nearly all are found, and nothing else, alone and in batches."""
    for kind, share, condition, passing in conditions():
        found: list[list[int]] = []
        for first in range(0, QUERIES, batch):
            query = ShardQuery.of(
                ASKED[first : first + batch], limit=10, spare=0, filter={"must": [condition]}
            )
            found += [[int(i) for i, _ in hits] for hits in pairs(shard.search(query))]

        at = np.flatnonzero(passing)
        best = at[np.argsort(-(ASKED @ ROW_TABLE[at].T), axis=1, kind="stable")[:, :10]]
        assert passing[np.concatenate(found)].all()
        assert all(len(hits) == 10 for hits in found)
        shared = [
            len(set(hits) & set(true)) for hits, true in zip(found, best.tolist(), strict=True)
        ]
        assert sum(shared) >= 0.95 * 10 * QUERIES, (kind, share)


def test_deleted_neighbours_hide_nobody(tmp_path: Path) -> None:
    """When all that is near was deleted since, what is left next is found."""
    bed = Bed(tmp_path)
    rows = ROW_TABLE[:10_000]
    bed.put({f"{n:05}": Stored(row[None], np.ones(1, np.float32)) for n, row in enumerate(rows)})
    config = IndexConfig("v", engine="hnsw", dim=DIM)
    bed.build(config)
    order = np.argsort(-(rows @ ASKED[0]))
    bed.delete([f"{n:05}" for n in order[:2000]])
    shard = Shard.open(bed.place(config))

    hits = pairs(shard.search(ShardQuery.of(ASKED[:1], limit=10, spare=0)))[0]

    found = np.array([int(i) for i, _ in hits])
    assert len(found) == 10
    assert not set(found.tolist()) & set(order[:2000].tolist())
    assert (rows[found] @ ASKED[0]).min() >= (rows[order[2009]] @ ASKED[0]) - 1e-3


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
def test_lists_hold_every_row_once(tmp_path: Path, metric: Metric) -> None:
    """Asked for all lists and all rows, they give exactly the rows that are allowed."""
    rows = ROW_TABLE[:2000] * (2.0 if metric == "ip" else 1.0)
    write_lists(np.ascontiguousarray(rows), metric, tmp_path)
    lists = Lists.map(tmp_path)
    assert lists is not None
    allowed = RowMask.of(CHANCE[:2000] % 3 == 0)
    nearness = lists.nearness(ASKED[:2])
    every = np.argsort(-nearness, axis=1)

    chosen = every, np.take_along_axis(nearness, every, axis=1)
    units = lists.candidates(ASKED[:2], 2000, allowed, chosen)

    assert lists.sizes.sum() == 2000
    assert lists.counts(allowed.rows).sum() == allowed.count
    for found in units:
        assert sorted(found[found >= 0].tolist()) == np.flatnonzero(allowed.rows).tolist()
