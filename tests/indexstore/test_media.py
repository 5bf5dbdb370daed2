"""Media are kept once, by what they are, and collected when nothing refers to them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from indexstore import media
from indexstore.derived import MAX_PREVIEWS, ScratchGoneError
from indexstore.filesystems import BlobsUnavailableError, filesystem
from indexstore.incoming import Blob
from indexstore.media import BlobNotFoundError, MediaStore, digest_of
from indexstore.sniffing import sniff
from tests.servers.s3 import BUCKET, running_s3

PNG = bytes.fromhex("89504e470d0a1a0a0000000d49484452")


@pytest.fixture
def store(blob_url: str) -> MediaStore:
    """Return a store in a folder, and in object stores."""
    return MediaStore(blob_url)


def test_a_content_is_stored_once_under_its_hash(store: MediaStore) -> None:
    """The same bytes have the same name; the store holds them once."""
    first, second = store.put(PNG), store.put(PNG)

    assert first == second
    assert store.get(first.name) == PNG
    assert [name for name, _ in store.names()] == [first.name]


def test_a_range_is_read_without_the_rest(store: MediaStore) -> None:
    """Playback asks for parts."""
    blob = store.put(bytes(range(100)))

    assert store.get(blob.name, 10, 13) == b"\x0a\x0b\x0c"
    assert store.size_bytes(blob.name) == 100


def test_the_type_is_sniffed(store: MediaStore) -> None:
    """What a content is, its bytes say."""
    assert store.put(PNG).media_type == "image/png"
    assert store.put(PNG).modality == "image"
    assert sniff(b"plain words") == "application/octet-stream"


@pytest.mark.parametrize(
    "name", ["sha256:" + "0" * 64, "sha256:../../etc/passwd", "", "md5:00", "sha256:" + "Z" * 64]
)
def test_only_stored_hashes_have_contents(store: MediaStore, name: str) -> None:
    """A name that is no hash, or of nothing stored, is not found; no path leaves the store."""
    with pytest.raises(BlobNotFoundError):
        store.get(name)


def test_what_nothing_refers_to_is_collected_once_it_is_old(store: MediaStore) -> None:
    """Referenced contents and fresh ones stay."""
    kept, dead = store.put(b"kept"), store.put(b"dead")

    young = store.collect({kept.name}, older_than=time.time() - 3600)
    old = store.collect({kept.name}, older_than=time.time() + 1)

    assert (young, old) == (0, 1)
    assert store.get(kept.name) == b"kept"
    with pytest.raises(BlobNotFoundError):
        store.get(dead.name)


def test_a_content_comes_in_pieces(store: MediaStore) -> None:
    """However long, it is never held as a whole; what is given up leaves nothing."""
    with store.incoming() as incoming:
        for _ in range(10):
            incoming.write(PNG * 1000)
        kept = incoming.keep()
    with store.incoming() as incoming:
        incoming.write(b"given up")

    assert kept == Blob.of(PNG * 10_000)
    assert store.get(kept.name) == PNG * 10_000
    assert [name for name, _ in store.names()] == [kept.name]


def test_a_content_is_opened_as_a_file(store: MediaStore) -> None:
    """Decoders read and seek in it, wherever it lies."""
    blob = store.put(bytes(range(256)) * 1000)

    with store.open(blob.name) as file:
        file.seek(1000)
        assert file.read(3) == bytes(range(232, 235))
    with pytest.raises(BlobNotFoundError):
        store.open("sha256:" + "0" * 64)


def test_a_content_that_somebody_is_about_to_name_stays(tmp_path: Path) -> None:
    """Stored or claimed again, an old content is not collected before it is referred to."""
    store = MediaStore(f"file://{tmp_path}")
    again, claimed, dead = (store.put(data) for data in (b"again", b"claimed", b"dead"))
    old = time.time() - 7 * 24 * 3600
    for blob in (again, claimed, dead):
        os.utime(str(store.local_path(blob.name)), (old, old))

    store.put(b"again")
    store.claim(claimed.name)
    count = store.collect((), older_than=time.time() - 24 * 3600)

    assert count == 1
    assert {name for name, _ in store.names()} == {again.name, claimed.name}


def test_wherever_it_lies_a_claimed_content_is_dated_anew(
    store: MediaStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Object stores date what is written; the copy that this takes does not stay."""
    monkeypatch.setattr(media, "_FRESH_S", 0.0)
    blob = store.put(PNG)
    ((_, before),) = store.names()
    time.sleep(1.1)  # S3 counts in seconds

    store.claim(blob.name)

    ((name, after),) = store.names()
    assert (name, store.get(name)) == (blob.name, PNG)
    assert after > before
    assert store.collect({blob.name}, older_than=time.time() + 60) == 0


def test_a_store_that_goes_away_is_no_fault_of_what_it_holds() -> None:
    """Whoever reads on in an open content learns that the store is away, not that it is broken."""
    with running_s3() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_MAX_ATTEMPTS", "1")  # or it takes its time to give up
        files, _ = filesystem(f"s3://{BUCKET}/away")
        files.clear_instance_cache()
        store = MediaStore(f"s3://{BUCKET}/away")
        blob = store.put(PNG * 1_000_000)

        with store.open(blob.name) as file:
            first = file.read(len(PNG))
            server.stop()
            file.seek(12_000_000)
            with pytest.raises(BlobsUnavailableError):
                file.read(1)
        with pytest.raises(BlobsUnavailableError):
            store.describe(blob.name)
        files.clear_instance_cache()
    assert first == PNG


def test_what_a_killed_upload_leaves_is_collected(tmp_path: Path) -> None:
    """A half-written file goes once it is old."""
    store = MediaStore(f"file://{tmp_path}")
    with store.incoming() as incoming:
        incoming.write(b"half")  # a process that is killed here leaves the block without its end

        store.collect((), older_than=time.time() - 3600)
        young = [path for path in tmp_path.rglob("*") if path.is_file()]
        store.collect((), older_than=time.time() + 1)

    assert len(young) == 1
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_previews_are_kept_with_their_content(store: MediaStore) -> None:
    """Kept by recipe, so many at most, and gone with the content."""
    blob = store.put(PNG)
    digest = digest_of(blob.name)

    for number in range(MAX_PREVIEWS + 5):
        store.previews.keep(digest, f"thumb-{number}.webp", b"small")
    kept = [store.previews.get(digest, f"thumb-{n}.webp") for n in range(MAX_PREVIEWS + 5)]
    store.collect((), older_than=time.time() + 1)

    assert kept.count(b"small") == MAX_PREVIEWS
    assert store.previews.get(digest, "thumb-0.webp") is None


@pytest.mark.parametrize("recipe", ["../x", "a/b", "", ".hidden", "A", "x" * 200])
def test_a_recipe_is_a_name_never_a_path(store: MediaStore, recipe: str) -> None:
    """Nothing is read or written elsewhere."""
    with pytest.raises(ValueError, match="no name of a preview"):
        store.previews.keep("0" * 64, recipe, b"")


def test_scratch_is_there_until_it_is_dropped(store: MediaStore) -> None:
    """Names are unique; what is gone is told as gone; what was left is swept."""
    one, two, left = (store.scratch.put(b"same") for _ in range(3))

    store.scratch.drop([one])

    assert len({one, two, left}) == 3
    assert store.scratch.get(two) == b"same"
    with pytest.raises(ScratchGoneError, match="sent again"):
        store.scratch.get(one)
    assert store.scratch.collect(older_than=time.time() - 3600) == 0
    assert store.scratch.collect(older_than=time.time() + 1) == 2


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "x" * 32])
def test_scratch_is_named_by_us(store: MediaStore, name: str) -> None:
    """A name that is none is never a path."""
    with pytest.raises(ScratchGoneError):
        store.scratch.get(name)
