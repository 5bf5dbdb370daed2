"""Files of this machine reach the server: small ones inside, large ones before, bad ones alone."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path

from app.client import Client
from app.feed import Feed
from app.local_files import INSIDE_BYTES, LocalFile, modality_of, sent
from tests.app.test_client import Scripted, server

__all__ = ["server"]  # a fixture

BLOB = "sha256:" + "0" * 64


def test_a_small_file_travels_inside(server: Scripted, tmp_path: Path) -> None:
    """One request less."""
    path = tmp_path / "a.png"
    path.write_bytes(b"small")

    with Client(server.url) as api:
        document = sent({"id": "a", "image": LocalFile(path)}, api)

    assert b64decode(document["image"]["base64"]) == b"small"
    assert server.seen == []


def test_a_large_file_is_uploaded_first(server: Scripted, tmp_path: Path) -> None:
    """As it streams; the document refers to it by its hash."""
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(INSIDE_BYTES + 1))
    server.answers = [(201, {}, {"blob": BLOB})]

    with Client(server.url) as api:
        document = sent({"id": "a", "video": LocalFile(path)}, api)

    assert document["video"] == {"blob": BLOB}
    assert server.seen[0][:2] == ("POST", "/v1/blobs")


def test_a_file_that_cannot_be_sent_fails_alone(server: Scripted, tmp_path: Path) -> None:
    """One is gone, one is refused; the third is stored."""
    large, small = tmp_path / "large.mp4", tmp_path / "small.mp4"
    large.write_bytes(bytes(INSIDE_BYTES + 1))
    small.write_bytes(b"film")
    items = [{"id": "small", "status": "queued", "error": None}]
    server.answers = [
        (413, {}, {"title": "too large", "detail": "the limit max_upload_bytes"}),
        (202, {}, {"job_id": "j", "items": items, "token": "1"}),
        (200, {}, {"state": "completed", "counts": {"indexed": 1}}),
    ]
    documents = [
        {"id": path.stem, "video": LocalFile(path)}
        for path in (tmp_path / "gone.mp4", large, small)
    ]

    with Client(server.url) as api:
        feed = Feed(api, "c")
        list(feed.run(documents))

    assert (feed.progress.sent, feed.progress.indexed) == (3, 1)
    assert [failure.doc_id for failure in feed.progress.failures] == ["gone", "large"]
    assert "max_upload_bytes" in feed.progress.failures[1].reason


def test_a_name_says_what_a_file_is() -> None:
    """By its suffix, in any case."""
    names = ("a.JPG", "b.opus", "c.webm", "d.exe", "e")

    assert [modality_of(Path(name)) for name in names] == ["image", "audio", "video", None, None]
