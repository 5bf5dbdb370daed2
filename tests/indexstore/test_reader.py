"""A reader misses nothing, whatever happens between two of its looks at the log."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from indexstore import build, reader
from indexstore.blobs import Blobs
from indexstore.build import build_shard
from indexstore.errors import IndexStoreError
from indexstore.filesystems import BlobsUnavailableError
from indexstore.log import Log
from indexstore.model import IndexConfig, LogRow
from indexstore.place import Place
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from tests.indexstore.shard_bed import COLLECTION, Bed, Stored

DIM = 4
CONFIG = IndexConfig("v", engine="exact")


class WatchedLog(Log):
    """A log beside whose reads something happens: ``before`` is told the number of each read."""

    before: Callable[[int], None] = staticmethod(lambda _number: None)
    reads = 0

    def tail(self, *args: Any, **rest: Any) -> list[LogRow]:
        """Let it happen, then read."""
        self.reads += 1
        self.before(self.reads)
        return super().tail(*args, **rest)


@pytest.fixture
def bed(tmp_path: Path, database_url: str) -> Iterator[Bed]:
    """A collection of six documents, on either database."""
    made = Bed(tmp_path, database_url)
    made.put(some("abcdef"))
    yield made
    made.ledger.close()


def some(ids: str) -> dict[str, Stored]:
    """Return documents of one chunk."""
    ones = np.ones((1, DIM), np.float32)
    return {doc_id: Stored(ones, np.ones(1, np.float32)) for doc_id in ids}


def watched(bed: Bed, before: Callable[[int], None]) -> Place:
    """Return the shard's place with a log beside whose reads something happens."""
    log = WatchedLog(bed.ledger.database)
    log.before = before
    return replace(bed.place(CONFIG), log=log)


def purge(bed: Bed) -> None:
    """Throw away every delete and patch that no segment needs."""
    bed.manifest.purge(COLLECTION, grace_s=0, keep_seqs=0, delete_files=lambda _segment: None)


def found(shard: Shard) -> set[str]:
    """Return what a search for everything finds."""
    query = ShardQuery.of(np.ones((1, DIM), np.float32), limit=99, spare=0)
    return set(shard.search(query).doc_ids)


@pytest.mark.parametrize("is_followed", [True, False])
def test_a_delete_that_is_purged_just_before_it_is_read_is_noticed(
    bed: Bed, is_followed: bool
) -> None:
    """Whether or not a row comes after it, the segments are loaded afresh and know of it."""
    bed.build(CONFIG)
    is_deleted = threading.Event()

    def compact_and_purge(_number: int) -> None:
        if is_deleted.is_set():
            is_deleted.clear()
            bed.build(CONFIG)
            purge(bed)

    shard = Shard.open(watched(bed, compact_and_purge))
    bed.delete(["a", "b", "c"])
    if is_followed:
        bed.put(some("x"))
    is_deleted.set()

    shard.catch_up()

    assert found(shard) == set(bed.stored)
    assert shard.count() == len(bed.stored)


def test_a_patch_that_is_purged_while_a_segment_is_built_is_not_lost(
    bed: Bed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rows were read before it was folded into them: that segment is thrown away."""
    monkeypatch.setattr(build, "PAGE_ROWS", 4)
    bed.patch("a", tags={"lang": "en"})

    def purge_between(number: int) -> None:
        if number == 3:
            purge(bed)

    report = build_shard(watched(bed, purge_between), force=True)

    assert report.outcome == "overtaken"
    assert build_shard(bed.place(CONFIG), force=True).outcome == "built"
    shard = Shard.open(bed.place(CONFIG))
    assert shard.ids({"must": [{"key": "lang", "match": {"value": "en"}}]}) == ["a"]


def test_a_fault_between_two_pages_hides_nothing(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before the database was away is shown when it is back, without a new write."""
    monkeypatch.setattr(reader, "PAGE_ROWS", 3)
    bed.put(some("gh"))
    fails = {5}

    def fail(number: int) -> None:
        if number in fails:
            raise IndexStoreError("the database is away")

    shard = Shard.open(watched(bed, fail))
    bed.put(some("xyz"))
    with pytest.raises(IndexStoreError):
        shard.catch_up()

    shard.catch_up()

    assert found(shard) == set(bed.stored)
    assert shard.applied_seq == bed.seq()


def test_a_search_with_a_token_waits_no_longer_than_its_deadline(bed: Bed) -> None:
    """Also while another thread is at the log."""
    is_reading, go_on = threading.Event(), threading.Event()

    def hold(number: int) -> None:
        if number == 2:
            is_reading.set()
            go_on.wait(10)

    shard = Shard.open(watched(bed, hold))
    seq = bed.put(some("x"))
    busy = threading.Thread(target=shard.catch_up)
    busy.start()
    is_reading.wait(10)
    started = time.time()

    query = ShardQuery.of(np.ones((1, DIM), np.float32), limit=9, min_seq=seq)
    hits = shard.search(replace(query, deadline=started + 0.2))

    took_s = time.time() - started
    go_on.set()
    busy.join()
    assert took_s < 0.4
    assert hits.applied_seq < seq
    assert found(shard) == set(bed.stored)


def test_while_new_segments_cannot_be_fetched_the_old_ones_and_the_log_serve(
    bed: Bed, tmp_path: Path
) -> None:
    """An object store that is away costs no answer and no fresh document."""
    bed.blobs = Away("memory://away", cache=tmp_path / "builder")
    bed.build(CONFIG)
    there = Away("memory://away", cache=tmp_path / "reader")
    shard = Shard.open(replace(bed.place(CONFIG), blobs=there))
    bed.put(some("xyz"))
    bed.build(CONFIG)
    there.is_away = True
    bed.delete(["a"])
    bed.put(some("late"))

    with pytest.raises(BlobsUnavailableError):
        shard.look_ahead()
    shard.catch_up()

    assert found(shard) == set(bed.stored)
    there.is_away = False
    shard.look_ahead()
    shard.catch_up()
    assert (found(shard), shard.stats().covered_seq) == (set(bed.stored), 9)


def test_what_is_listed_after_a_look_is_not_fetched_before_the_next(
    bed: Bed, tmp_path: Path
) -> None:
    """Else whoever reads the log for a search would wait for an object store that is silent."""
    bed.blobs = Away("memory://listed", cache=tmp_path / "builder")
    there = Away("memory://listed", cache=tmp_path / "reader")
    shard = Shard.open(replace(bed.place(CONFIG), blobs=there))
    bed.build(CONFIG)
    shard.look_ahead()
    bed.put(some("xyz"))
    bed.build(CONFIG)
    there.is_away = True

    shard.catch_up()

    assert (found(shard), shard.stats().segments) == (set(bed.stored), 1)
    there.is_away = False
    shard.look_ahead()
    shard.catch_up()
    assert (found(shard), shard.stats().delta_rows) == (set(bed.stored), 0)


class Away(Blobs):
    """Blobs of an object store that can be made to go away."""

    is_away = False

    def fetch(self, key: str) -> Path:
        """Fetch, while the store is there."""
        if self.is_away:
            raise BlobsUnavailableError(self.url, "it is away")
        return super().fetch(key)
