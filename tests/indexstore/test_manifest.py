"""The manifest: segments appear and disappear by one row."""

import pytest

from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.model import SegmentInfo
from tests.indexstore.samples import EVERYTHING, C, segment, store, tail, text_document


def live(manifest: Manifest, slots: range = EVERYTHING) -> list[str]:
    """Return the ids of the live segments of some slots."""
    found = manifest.segments(C, "chunks", generation=1, slots=slots)
    return [info.id for info in found]


def test_a_published_segment_is_found(manifest: Manifest) -> None:
    """With all that was said of it."""
    info = segment(0, 10)

    assert manifest.publish(info)
    assert manifest.segments(C, "chunks", generation=1, slots=EVERYTHING) == [info]


def test_segments_are_found_by_overlap(manifest: Manifest) -> None:
    """Of the index, the generation, and any slot of the range; the oldest rows first."""
    manifest.publish(segment(10, 20, id="late", slot_from=0, slot_to=512))
    manifest.publish(segment(0, 10, id="low", slot_from=0, slot_to=512))
    manifest.publish(segment(0, 10, id="high", slot_from=512, slot_to=1024))
    manifest.publish(segment(0, 10, id="other", index_name="texts"))
    manifest.publish(segment(0, 10, id="next", generation=2))

    assert live(manifest, range(512)) == ["low", "late"]
    assert live(manifest, range(511, 513)) == ["low", "high", "late"]
    assert live(manifest, range(512, 1024)) == ["high"]


def test_compaction_replaces_in_one_moment(manifest: Manifest) -> None:
    """The new one is there and the old ones are not; nothing in between can be seen."""
    manifest.publish(segment(0, 10, id="a"))
    manifest.publish(segment(10, 20, id="b"))

    assert manifest.publish(segment(0, 20, id="ab"), retires=["a", "b"])

    assert live(manifest) == ["ab"]
    assert len(manifest.all_segments(C, live_only=False)) == 3


def test_of_two_compactions_of_one_segment_one_wins(manifest: Manifest) -> None:
    """The other is told, and leaves nothing behind."""
    manifest.publish(segment(0, 10, id="a"))
    manifest.publish(segment(10, 20, id="b"))
    manifest.publish(segment(0, 10, id="a2"), retires=["a"])

    assert not manifest.publish(segment(0, 20, id="ab"), retires=["a", "b"])
    assert not manifest.publish(segment(0, 20, id="ab"), retires=["b", "x"])
    assert live(manifest) == ["a2", "b"]


def test_a_corrupt_segment_can_be_withdrawn(manifest: Manifest) -> None:
    """Without another in its place: the log has its rows."""
    manifest.publish(segment(0, 10, id="a"))

    assert manifest.retire(C, ["a", "x"]) == 1
    assert live(manifest) == []


class TestPurge:
    """What no reader needs is thrown away."""

    @pytest.fixture
    def deleted(self) -> list[str]:
        """The files that a purge deleted."""
        return []

    def purge(self, manifest: Manifest, deleted: list[str], **fields: float) -> tuple[int, ...]:
        """Purge without sparing what is new."""

        def delete_files(info: SegmentInfo) -> None:
            deleted.append(info.id)

        done = manifest.purge(C, grace_s=60, keep_seqs=0, delete_files=delete_files, **fields)
        return done.tombstones, done.patches, done.segments

    def test_retired_segments_go_after_their_grace(
        self, manifest: Manifest, deleted: list[str]
    ) -> None:
        """Readers that still have them open keep them for a while; live ones are never touched."""
        manifest.publish(segment(0, 10, id="a"))
        manifest.publish(segment(0, 10, id="b"), retires=["a"])
        (retired,) = (i for i in manifest.all_segments(C, live_only=False) if i.retired_at)
        assert retired.retired_at is not None

        early = self.purge(manifest, deleted, now=retired.retired_at + 59)
        late = self.purge(manifest, deleted, now=retired.retired_at + 61)

        assert (early, late, deleted) == ((0, 0, 0), (0, 0, 1), ["a"])
        assert [info.id for info in manifest.all_segments(C, live_only=False)] == ["b"]

    def test_a_tombstone_stays_while_a_segment_may_hold_the_document(
        self, ledger: Ledger, log: Log, manifest: Manifest, deleted: list[str]
    ) -> None:
        """And goes when every segment of its slot was built past it."""
        store(ledger, log, text_document("a"), text_document("b"))
        manifest.publish(segment(0, 2, id="old"))
        ledger.delete(C, ["a"])

        kept = self.purge(manifest, deleted)
        manifest.publish(segment(0, 3, id="new"), retires=["old"])
        gone = self.purge(manifest, deleted)

        assert (kept, gone) == ((0, 0, 0), (1, 0, 0))
        assert [row.op for row in tail(log)] == ["upsert"]
        assert ledger.collection(C).purged_seq == 3

    def test_segments_of_other_slots_keep_no_tombstone(
        self, ledger: Ledger, log: Log, manifest: Manifest, deleted: list[str]
    ) -> None:
        """Only those that could hold the document count."""
        store(ledger, log, text_document("a"))
        slot = tail(log)[0].slot
        manifest.publish(segment(0, 1, slot_from=slot + 1, slot_to=1024))
        ledger.delete(C, ["a"])

        assert self.purge(manifest, deleted) == (1, 0, 0)

    def test_a_patch_is_folded_into_its_row(
        self, ledger: Ledger, log: Log, manifest: Manifest, deleted: list[str]
    ) -> None:
        """A reader that begins afterwards finds the document with its newest tags."""
        store(ledger, log, text_document("a"))
        ledger.patch(C, "a", tags={"x": 1}, weight=3)

        assert self.purge(manifest, deleted) == (0, 1, 0)
        (row,) = tail(log)
        assert (row.op, row.version, row.tags, row.weight) == ("upsert", 2, {"x": 1}, 3)
        assert row.chunks is not None

    def test_what_is_new_is_spared(self, ledger: Ledger, log: Log, manifest: Manifest) -> None:
        """So that readers which are a little behind never have to start afresh."""
        store(ledger, log, text_document("a"))
        ledger.delete(C, ["a"])

        done = manifest.purge(C, grace_s=0, delete_files=lambda _info: None)

        assert done.tombstones == 0
        assert ledger.collection(C).purged_seq == 0

    def test_files_that_cannot_be_deleted_are_found_again(
        self, manifest: Manifest, deleted: list[str]
    ) -> None:
        """A crash between files and row costs nothing but another try."""
        manifest.publish(segment(0, 10, id="a"))
        manifest.retire(C, ["a"])

        def fail(_info: SegmentInfo) -> None:
            raise OSError("no such bucket")

        with pytest.raises(OSError, match="bucket"):
            manifest.purge(C, grace_s=-1, delete_files=fail)

        assert self.purge(manifest, deleted, now=2e9) == (0, 0, 1)
