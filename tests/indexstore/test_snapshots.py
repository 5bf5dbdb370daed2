"""What a snapshot holds, and the files that it lies in."""

from dataclasses import replace

import numpy as np
import pytest

from indexstore.archive import (
    Archive,
    CorruptSnapshotError,
    SnapshotInfo,
    SnapshotNotFoundError,
    is_name,
    medium_file,
)
from indexstore.errors import CorruptDataError
from indexstore.filesystems import filesystem
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.snapshots import Entry, Snapshots, pack, unpack
from tests.indexstore.samples import C, accept, append, encoded, text_document

INFO = SnapshotInfo("first", C, "f", "f", 2, 1, 7, 1.0)
BLOB = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of b"abc"


def entries_of(ledger: Ledger) -> list[Entry]:
    """Return all entries of the collection."""
    pages = Snapshots(ledger.database).entries(C)
    return [entry for _, page in pages for entry in page]


def told(entries: list[Entry]) -> list[tuple[str, str, bool]]:
    """Return id, text and whether there are chunks."""
    return [
        (one.document.doc_id, one.document.content["text"], one.chunks is not None)
        for one in entries
    ]


def test_what_is_shown_and_what_waits_are_both_in_it(ledger: Ledger, log: Log) -> None:
    """A newer content that is not encoded yet follows the one that searches show."""
    accept(ledger, text_document("a", "one"), text_document("b", "two"), text_document("c", "ill"))
    append(log, encoded("a", 1), encoded("b", 2))
    ledger.record_failures(C, [("c", 3, "broken")])
    accept(ledger, text_document("b", "newer"))
    ledger.patch(C, "a", tags={"n": 1}, weight=2.0)

    entries = entries_of(ledger)

    assert told(entries) == [
        ("a", "one", True), ("b", "two", True), ("b", "newer", False), ("c", "ill", False),
    ]  # fmt: skip
    assert (entries[0].document.tags, entries[0].document.weight) == ({"n": 1}, 2.0)


def test_it_is_of_one_moment(ledger: Ledger, log: Log) -> None:
    """What is written and deleted while it is read is not in it, or still."""
    numbers = range(1_200)
    accept(ledger, *(text_document(f"d{n:04}") for n in numbers))
    append(log, *(encoded(f"d{n:04}", n + 1) for n in numbers))
    pages = Snapshots(ledger.database).entries(C)
    _, first = next(pages)

    ledger.delete(C, ["d1100"])
    accept(ledger, text_document("d9999"))
    ids = [one.document.doc_id for one in first]
    ids += [one.document.doc_id for _, page in pages for one in page]

    assert ids == [f"d{n:04}" for n in numbers]


def test_entries_survive_the_file(ledger: Ledger, log: Log) -> None:
    """Content, tags, weight, and the chunks with their vectors."""
    document = text_document("a", "twö", tags={"n": [1, None]}, weight=0.5)
    accept(ledger, replace(document, vector=np.ones(4, np.float32)), text_document("b"))
    append(log, encoded("a", 1, value=3.0))
    before = entries_of(ledger)

    first, second = unpack("s", pack(before))

    assert (first.document, second.document) == (before[0].document, before[1].document)
    assert first.document.vector is not None
    assert first.document.vector.tolist() == [1, 1, 1, 1]
    assert first.chunks is not None
    assert (first.chunks.embeddings[""] == 3.0).all()
    assert second.chunks is None
    with pytest.raises(CorruptDataError):
        list(unpack("s", b"\x93\x01\x02\x03"))


def test_who_wrote_since_is_told_from_the_restore_itself(ledger: Ledger) -> None:
    """By the job."""
    accept(ledger, text_document("a"))
    mine = accept(ledger, text_document("b")).job_id
    accept(ledger, text_document("c"))
    store = Snapshots(ledger.database)

    assert store.written_since(C, ["a", "b", "c"], 1, but_by=mine) == {"c"}
    assert store.ids_up_to(C, 2, after="", limit=9) == ["a", "b"]
    assert store.ids_up_to(C, 9, after="a", limit=1) == ["b"]


@pytest.fixture
def archive(blob_url: str) -> Archive:
    """An archive in a folder, in fsspec's memory, and in an object store."""
    return Archive(blob_url, C)


def test_a_snapshot_is_there_when_it_is_finished(archive: Archive) -> None:
    """Before that its files are no snapshot; afterwards they are read back, checked."""
    checksum = archive.write("first", "one", b"rows")
    archive.write("first", medium_file(BLOB), b"abc")
    assert archive.survey() == ([], [])
    with pytest.raises(SnapshotNotFoundError):
        archive.info("first")

    archive.finish(replace(INFO, parts=(("one", checksum),), media=(BLOB,)))

    info = archive.info("first")
    assert [one.name for one in archive.survey()[0]] == ["first"]
    assert list(archive.read(info)) == [b"rows"]
    assert archive.medium(info, BLOB) == b"abc"
    archive.delete("first")
    assert archive.survey() == ([], [])
    with pytest.raises(SnapshotNotFoundError):
        archive.delete("first")


def test_a_damaged_manifest_hides_no_other_snapshot(archive: Archive) -> None:
    """It is named, refused when asked for, and can be deleted."""
    archive.finish(INFO)
    archive.write("broken", "snapshot.json", b'{"name": "broken", "par')

    found, damaged = archive.survey()

    assert ([one.name for one in found], damaged) == (["first"], ["broken"])
    with pytest.raises(CorruptSnapshotError, match="manifest is damaged"):
        archive.info("broken")
    archive.delete("broken")
    assert archive.survey()[1] == []


def test_what_another_process_does_is_seen(archive: Archive, blob_url: str) -> None:
    """A worker writes a snapshot while an API process that has listed others goes on."""
    archive.finish(INFO)
    assert [one.name for one in archive.survey()[0]] == ["first"]

    filesystem(blob_url)[0].clear_instance_cache()  # the next one knows nothing of ours
    Archive(blob_url, C).finish(replace(INFO, name="second"))

    assert [one.name for one in archive.survey()[0]] == ["first", "second"]


def test_what_is_damaged_is_never_read(archive: Archive) -> None:
    """A flipped byte, a missing file, a manifest of another version."""
    archive.finish(replace(INFO, parts=(("one", "0" * 64), ("two", "0" * 64))))
    archive.write("first", "one", b"rows")

    with pytest.raises(CorruptSnapshotError, match="one is damaged"):
        list(archive.read(archive.info("first")))
    archive.write("first", medium_file(BLOB), b"abd")
    with pytest.raises(CorruptSnapshotError, match="is damaged"):
        archive.medium(archive.info("first"), BLOB)
    archive.finish(replace(INFO, format=2))
    with pytest.raises(CorruptSnapshotError, match="format"):
        archive.info("first")
    archive.write("first", "snapshot.json", b'{"parts": []}')
    with pytest.raises(CorruptSnapshotError, match="manifest is damaged"):
        archive.info("first")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "x" * 64, "a b", "ü"])
def test_names_that_are_no_file_names_are_none(archive: Archive, name: str) -> None:
    """Nothing outside the folder of snapshots is ever touched."""
    assert not is_name(name)
    with pytest.raises(SnapshotNotFoundError):
        archive.info(name)
    with pytest.raises(SnapshotNotFoundError):
        archive.delete(name)
