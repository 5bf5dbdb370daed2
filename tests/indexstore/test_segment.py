"""A segment is served whole and unaltered, or not at all; then the log answers in its place."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from indexstore.blobs import Blobs
from indexstore.build import BuildPolicy
from indexstore.errors import CorruptSegmentError
from indexstore.model import IndexConfig, SegmentInfo
from indexstore.query import ShardQuery
from indexstore.segment import open_segment
from indexstore.shard import Shard
from tests.indexstore.shard_bed import Bed, Stored, oracle, pairs

DIM = 8
CONFIG = IndexConfig("v", engine="hnsw")


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """A collection of forty documents of one and two chunks, built into one segment."""
    made = Bed(tmp_path)
    made.put(some(range(40)))
    made.build(CONFIG)
    return made


def some(numbers: range) -> dict[str, Stored]:
    """Return documents, the same for the same numbers."""
    made = {}
    for i in numbers:
        rng = np.random.default_rng(i)
        vectors = rng.standard_normal((1 + i % 2, DIM)).astype(np.float32)
        made[f"d{i}"] = Stored(vectors, np.full(len(vectors), 0.5, np.float32))
    return made


def only_segment(bed: Bed) -> tuple[SegmentInfo, Path]:
    """Return the one segment of the bed and its folder."""
    (info,) = bed.place(CONFIG).segments()
    return info, bed.blobs.fetch(info.path)


def test_a_flipped_byte_anywhere_is_noticed(bed: Bed) -> None:
    """Each file of a segment, altered at its start, middle or end, makes it refused."""
    info, folder = only_segment(bed)
    files = [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) > 8
    for path in files:
        raw = path.read_bytes()
        for at in (0, len(raw) // 2, len(raw) - 1):
            path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])

            with pytest.raises(CorruptSegmentError, match=info.id):
                open_segment(info, folder, CONFIG, range(1024))

        path.write_bytes(raw)
    open_segment(info, folder, CONFIG, range(1024))


@pytest.mark.parametrize("damage", ["torn", "missing"])
def test_a_torn_or_missing_file_is_noticed(bed: Bed, damage: str) -> None:
    """A file cut short, or gone, makes the segment refused."""
    info, folder = only_segment(bed)
    for path in [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]:
        raw = path.read_bytes()
        path.unlink()
        if damage == "torn":
            path.write_bytes(raw[: len(raw) // 2])

        with pytest.raises(CorruptSegmentError):
            open_segment(info, folder, CONFIG, range(1024))

        path.write_bytes(raw)


def test_another_segment_in_its_place_is_noticed(bed: Bed) -> None:
    """A whole segment that is not the manifest's is refused too."""
    info, folder = only_segment(bed)

    with pytest.raises(CorruptSegmentError, match="manifest"):
        open_segment(replace(info, checksum="0" * 64), folder, CONFIG, range(1024))


def test_a_segment_of_another_engine_is_not_served(bed: Bed) -> None:
    """What another flow's engine or metric built is built anew, not misread."""
    info, folder = only_segment(bed)

    with pytest.raises(CorruptSegmentError, match="engine 'hnsw'"):
        open_segment(info, folder, replace(CONFIG, engine="exact"), range(1024))
    with pytest.raises(CorruptSegmentError, match="metric 'cosine'"):
        open_segment(info, folder, replace(CONFIG, metric="ip"), range(1024))


def test_a_corrupt_segment_costs_nobody_an_answer(bed: Bed) -> None:
    """Its rows are read from the log and searched exactly, it is reported, a build heals it."""
    query = ShardQuery.of(np.ones((1, DIM), np.float32), limit=40, spare=0)
    before = pairs(Shard.open(bed.place(CONFIG)).search(query))
    info, folder = only_segment(bed)
    engine = folder / "engine.bin"
    engine.write_bytes(engine.read_bytes()[:-1] + b"x")

    shard = Shard.open(bed.place(CONFIG))
    stats = shard.stats()

    assert pairs(shard.search(query)) == before
    assert (stats.segments, list(stats.corrupt), stats.documents) == (0, [info.id], 40)
    report = bed.build(CONFIG, force=False)[0]
    healed = Shard.open(bed.place(CONFIG))
    assert (report.outcome, report.corrupt, report.retired) == ("built", (info.id,), (info.id,))
    assert healed.stats().corrupt == {}
    assert pairs(healed.search(query)) == before


def test_a_corrupt_segment_between_others_resurrects_nobody(bed: Bed) -> None:
    """Deletes that only the corrupt segment knew hold, though the log has forgotten them."""
    policy = BuildPolicy(growth=0.001, max_deleted_ratio=1.0, max_segments=99)
    bed.delete(["d0", "d1"])
    bed.put(some(range(40, 50)))
    bed.build(CONFIG, policy=policy)
    bed.put(some(range(50, 60)))
    bed.build(CONFIG, policy=policy)
    bed.manifest.purge("bed", grace_s=0, keep_seqs=0, delete_files=lambda _: None)
    segments = bed.place(CONFIG).segments()
    assert len(segments) == 3
    (bed.blobs.fetch(segments[1].path) / "doc_weights.npy").write_bytes(b"gone")

    shard = Shard.open(bed.place(CONFIG))
    hits = shard.search(ShardQuery.of(np.ones((1, DIM), np.float32), limit=99))

    assert set(hits.doc_ids) == set(bed.stored)
    assert segments[1].id in shard.stats().corrupt


def test_deletes_and_patches_travel_with_segments(bed: Bed) -> None:
    """A reader of segments alone sees what was deleted and patched in older ones."""
    bed.patch("d3", weight=9.0)
    bed.delete(["d5"])
    policy = BuildPolicy(growth=0.001, max_deleted_ratio=1.0)
    bed.build(CONFIG, policy=policy)

    shard = Shard.open(bed.place(CONFIG))
    query = ShardQuery.of(some(range(3, 4))["d3"].vectors[:1], limit=50)
    hits = pairs(shard.search(query))

    assert shard.stats().segments == 2
    assert dict(hits[0]) == pytest.approx(dict(oracle(bed.stored, query)[0]), abs=1e-5)


def test_segments_travel_through_an_object_store(tmp_path: Path) -> None:
    """A replica elsewhere fetches a segment once; a bad copy is fetched again."""
    made = Bed(tmp_path)
    made.blobs = Blobs("memory://segments", cache=tmp_path / "here")
    made.put(some(range(20)))
    made.build(CONFIG)
    (info,) = made.place(CONFIG).segments()
    elsewhere = Blobs("memory://segments", cache=tmp_path / "there")
    made.blobs = elsewhere

    assert Shard.open(made.place(CONFIG)).stats().segments == 1

    copy = elsewhere.fetch(info.path) / "versions.npy"
    copy.write_bytes(b"nonsense")
    assert Shard.open(made.place(CONFIG)).stats().corrupt == {}
    elsewhere.delete(info.path)
    with pytest.raises(FileNotFoundError):
        elsewhere.fetch(info.path)


def test_a_discarded_stage_leaves_nothing(tmp_path: Path) -> None:
    """What was not published is not there."""
    blobs = Blobs(tmp_path / "blobs")
    folder = blobs.stage()
    (folder / "half").write_bytes(b"12345")

    blobs.discard(folder)

    assert blobs.size_bytes() == 0
