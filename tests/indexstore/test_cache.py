"""The embedding cache: bounded, and never in the way."""

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from indexstore.cache import EmbeddingCache
from indexstore.chunk_codec import encode_chunks
from tests.indexstore.samples import chunks_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the cache is."""
    return tmp_path / "cache" / "embeddings.db"


def test_what_was_put_is_found(path: Path) -> None:
    """By step and content hash, and also by another process that opens the file."""
    cache = EmbeddingCache.open(path, max_bytes=10**6)
    cache.put("minilm@1", {"h1": chunks_of(1.0), "h2": chunks_of(2.0)})
    cache.close()

    found = EmbeddingCache.open(path, max_bytes=10**6).get("minilm@1", ["h2", "h1", "h3"])

    assert set(found) == {"h1", "h2"}
    assert np.all(found["h2"].embeddings[""] == 2.0)


def test_another_step_finds_nothing(path: Path) -> None:
    """A changed model never meets old embeddings."""
    cache = EmbeddingCache.open(path, max_bytes=10**6)
    cache.put("minilm@1", {"h1": chunks_of()})

    assert cache.get("minilm@2", ["h1"]) == {}


def test_putting_twice_keeps_one(path: Path) -> None:
    """The same content costs its room once."""
    cache = EmbeddingCache.open(path, max_bytes=10**6)
    for _ in range(3):
        cache.put("s", {"h": chunks_of()})

    assert cache.size_bytes() == len(encode_chunks(chunks_of()))


def test_the_oldest_go_when_it_is_full(path: Path) -> None:
    """The size stays within the bound and the newest entries stay."""
    one = len(encode_chunks(chunks_of()))
    cache = EmbeddingCache.open(path, max_bytes=20 * one)

    for number in range(100):
        cache.put("s", {f"h{number}": chunks_of(number)})

    assert cache.size_bytes() <= 20 * one
    assert set(cache.get("s", ["h0", "h50", "h99"])) == {"h99"}


def test_a_corrupt_file_is_begun_anew(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The caller sees a miss, the log a line, and the next put works."""
    path.parent.mkdir()
    path.write_bytes(b"this is no database, " * 1000)
    cache = EmbeddingCache.open(path, max_bytes=10**6)

    missed = cache.get("s", ["h"])
    cache.put("s", {"h": chunks_of()})

    assert missed == {}
    assert "is passed over" in caplog.text
    assert set(cache.get("s", ["h"])) == {"h"}


def test_a_corrupt_entry_is_a_miss(path: Path) -> None:
    """Bytes that are no chunk table are thrown away, not served."""
    cache = EmbeddingCache.open(path, max_bytes=10**6)
    cache.put("s", {"h": chunks_of()})
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE entries SET chunks = x'00'")
    connection.close()

    assert cache.get("s", ["h"]) == {}
    assert cache.size_bytes() == 0


def test_a_locked_file_loses_the_write_only(path: Path) -> None:
    """Another process that keeps the lock costs half a second, not the batch."""
    cache = EmbeddingCache.open(path, max_bytes=10**6)
    cache.put("s", {"h1": chunks_of()})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    cache.put("s", {"h2": chunks_of()})
    other.execute("ROLLBACK")
    other.close()

    assert set(cache.get("s", ["h1", "h2"])) == {"h1"}


def test_a_folder_that_cannot_be_made_is_a_miss(tmp_path: Path) -> None:
    """A file where the folder should be: the caller works on without a cache."""
    (tmp_path / "cache").write_text("in the way")
    cache = EmbeddingCache.open(tmp_path / "cache" / "embeddings.db", max_bytes=10**6)

    cache.put("s", {"h": chunks_of()})

    assert cache.get("s", ["h"]) == {}
    assert cache.size_bytes() == 0
