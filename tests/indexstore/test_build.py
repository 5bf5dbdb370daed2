"""Builds happen when they pay, merge what is small or holed, and never harm each other."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from indexstore.build import BuildPolicy, build_shard
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from tests.indexstore.shard_bed import COLLECTION, Bed, Stored

DIM = 8
CONFIG = IndexConfig("v", engine="exact")


@pytest.fixture
def bed(tmp_path: Path, database_url: str) -> Iterator[Bed]:
    """An empty collection, on either database."""
    made = Bed(tmp_path, database_url)
    yield made
    made.ledger.close()


def some(count: int, start: int = 0) -> dict[str, Stored]:
    """Return documents of one random chunk."""
    rows = np.random.default_rng(start).standard_normal((count, DIM)).astype(np.float32)
    ones = np.ones(1, np.float32)
    return {f"d{start + i}": Stored(rows[i : i + 1], ones) for i in range(count)}


def test_few_rows_are_left_to_the_delta(bed: Bed) -> None:
    """A build that is not worth its work does nothing; forced, it does."""
    bed.put(some(10))

    assert bed.build(CONFIG, force=False)[0].outcome == "nothing to do"
    assert bed.build(CONFIG, force=True)[0].outcome == "built"
    assert bed.build(CONFIG, force=True)[0].outcome == "nothing to do"


def test_enough_rows_are_built_by_themselves(bed: Bed) -> None:
    """From ``min_rows`` a shard on, a build does its work unforced."""
    bed.put(some(30))
    policy = BuildPolicy(min_rows=15)
    config = IndexConfig("v", engine="exact", shards=2)

    assert [r.outcome for r in bed.build(config, force=False, policy=policy)] == ["built"] * 2


def test_segments_stay_few(bed: Bed) -> None:
    """Many small builds leave logarithmically many segments, with all documents."""
    for turn in range(12):
        bed.put(some(8, start=8 * turn))
        bed.build(CONFIG)

    assert len(bed.place(CONFIG).segments()) <= 4
    assert Shard.open(bed.place(CONFIG)).stats().documents == 96


def test_a_large_segment_is_not_rewritten_for_a_few_rows(bed: Bed) -> None:
    """A little news becomes a little segment beside the large one."""
    bed.put(some(100))
    bed.build(CONFIG)
    bed.put(some(10, start=100))

    report = bed.build(CONFIG)[0]

    assert report.retired == ()
    assert [info.documents for info in bed.place(CONFIG).segments()] == [100, 10]


def test_holes_are_compacted_and_the_space_comes_back(bed: Bed) -> None:
    """After 90 % were deleted one build, asked for nothing, leaves a tenth of the bytes."""
    bed.put(some(400))
    bed.build(CONFIG)
    before = bed.blobs.size_bytes()
    bed.delete([f"d{i}" for i in range(360)])

    report = bed.build(CONFIG, force=False)[0]
    bed.manifest.purge(COLLECTION, grace_s=0, delete_files=lambda s: bed.blobs.delete(s.path))
    shard = Shard.open(bed.place(CONFIG))

    assert report.outcome == "built"
    assert bed.blobs.size_bytes() < 0.3 * before
    assert shard.stats().documents == 40
    assert shard.stats().deleted_ratio == 0


def test_a_segment_that_is_all_dead_is_noticed_and_goes(bed: Bed) -> None:
    """Nothing of it is shown, and the build that takes it away is asked for."""
    bed.put(some(50))
    bed.build(CONFIG)
    bed.delete(list(bed.stored))
    shard = Shard.open(bed.place(CONFIG))

    assert (shard.stats().worst_hole, shard.stats().deleted_ratio) == (1.0, 1.0)
    assert bed.build(CONFIG, force=False)[0].outcome == "built"
    assert Shard.open(bed.place(CONFIG)).stats().worst_hole == 0.0


def test_the_slower_of_two_builds_throws_its_work_away(bed: Bed) -> None:
    """When somebody else has compacted meanwhile, nothing is published twice."""
    bed.put(some(20))
    bed.build(CONFIG)
    bed.put(some(20, start=20))

    def overtake() -> bool:
        assert build_shard(bed.place(CONFIG), force=True).outcome == "built"
        return True

    report = build_shard(bed.place(CONFIG), force=True, is_wanted=overtake)

    assert report.outcome == "overtaken"
    assert [info.documents for info in bed.place(CONFIG).segments()] == [40]


def test_a_build_that_lost_its_lease_publishes_nothing(bed: Bed) -> None:
    """Asked at the last moment and not wanted any more, it leaves no file and no row."""
    bed.put(some(20))

    report = build_shard(bed.place(CONFIG), force=True, is_wanted=lambda: False)

    assert report.outcome == "overtaken"
    assert (bed.place(CONFIG).segments(), bed.blobs.size_bytes()) == ([], 0)


def test_another_number_of_shards_just_works(bed: Bed) -> None:
    """Segments built for two shards serve three, masked; builds then realign them."""
    bed.put(some(60))
    two, three = (IndexConfig("v", engine="exact", shards=n) for n in (2, 3))
    bed.build(two)
    query = ShardQuery.of(np.ones((1, DIM), np.float32), limit=99)

    found = [shard.search(query).doc_ids for shard in bed.shards(three)]
    assert sorted(itertools.chain(*found)) == sorted(bed.stored)

    assert {r.outcome for r in bed.build(three, force=True)} == {"built"}
    again = [shard.search(query).doc_ids for shard in bed.shards(three)]
    assert [set(a) for a in again] == [set(b) for b in found]
    assert {s.stats().segments for s in bed.shards(three)} == {1}


def test_fewer_shards_are_built_though_nothing_is_new(bed: Bed) -> None:
    """Segments of four shards hold every row already; one shard gets one of its own bounds."""
    bed.put(some(60))
    four, one = (IndexConfig("v", engine="exact", shards=n) for n in (4, 1))
    bed.build(four)

    (report,) = bed.build(one, force=True)

    assert report.outcome == "built"
    assert [(info.slots, info.documents) for info in bed.place(one).segments()] == [
        (range(1024), 60)
    ]
