"""Media are kept once, by what they are, and collected when nothing refers to them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from indexstore.media import BlobNotFoundError, MediaStore, sniff

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


def test_a_content_that_is_stored_again_is_young_again(tmp_path: Path) -> None:
    """Whoever refers to it next is not a day late."""
    store = MediaStore(f"file://{tmp_path}")
    blob = store.put(PNG)
    path = store.local_path(blob.name)
    assert path is not None
    os.utime(path, (1.0, 1.0))

    store.put(PNG)

    assert store.collect(set(), older_than=time.time() - 60) == 0
    assert store.get(blob.name) == PNG
