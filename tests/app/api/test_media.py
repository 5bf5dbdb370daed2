"""Media on their way in: what they are is read from their bytes, and they are kept once."""

import struct
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.api.intake import Context, check
from app.api.main import create
from app.api.media import MediaRefusedError, item_of, settle
from app.api.schemas.search import Media
from app.settings import Limits, Settings
from indexstore.media import MediaStore

MISSING = "sha256:" + "0" * 64


def png() -> bytes:
    """Return an image of one pixel."""

    def part(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = part(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = part(b"IDAT", zlib.compress(b"\x00\x7f"))
    return b"\x89PNG\r\n\x1a\n" + header + pixels + part(b"IEND", b"")


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    """Give an empty store in a folder."""
    return MediaStore(f"file://{tmp_path}/blobs")


def test_base64_becomes_a_blob(store: MediaStore) -> None:
    """A document keeps the name of its content, its type and its size; the bytes are stored."""
    kept = settle(Media(base64=b64encode(png()).decode()), "image", store)

    assert (kept["media_type"], kept["size_bytes"]) == ("image/png", len(png()))
    assert store.get(kept["blob"]) == png()


def test_a_stored_blob_can_be_named_again(store: MediaStore) -> None:
    """Once uploaded, a content is referred to by its hash."""
    blob = store.put(png())

    assert settle(Media(blob=blob.name), "image", store)["blob"] == blob.name


@pytest.mark.parametrize(
    ("medium", "field", "says"),
    [
        ({"base64": "!!"}, "base64", "not base64"),
        ({"base64": ""}, "base64", "empty"),
        ({"base64": "aGVsbG8="}, "base64", "not image"),
        ({"blob": MISSING}, "blob", "no blob"),
        ({"url": "file:///etc/passwd"}, "url", "http"),
        ({"url": "http://"}, "url", "http"),
        ({"url": "http://[::1"}, "url", "http"),
    ],
)
def test_a_medium_that_is_none_is_refused(
    store: MediaStore, medium: dict[str, str], field: str, says: str
) -> None:
    """The field and the reason are said; what a URL leads to is for the fetch stage to judge."""
    with pytest.raises(MediaRefusedError, match=says) as caught:
        settle(Media(**medium), "image", store)

    assert caught.value.field == field


def test_a_bad_medium_costs_its_item_alone(store: MediaStore) -> None:
    """Good images beside a broken one are taken in."""
    image = {"base64": b64encode(png()).decode()}
    items = [{"image": image}, {"image": {"base64": "aGVsbG8="}}, {"image": {"url": "http://x/y"}}]

    good, bad = check(items, Context(Limits(), modalities=("image",), media=store))

    assert list(good) == [0, 2]
    assert [(one.index, one.field) for one in bad] == [(1, "image.base64")]


def test_a_file_is_what_its_bytes_say(store: MediaStore) -> None:
    """A picture called .txt is a picture, a text without a name a text."""
    image = item_of(png(), "notes.txt", {"id": "i", "tags": {"year": 1}}, store)
    text = item_of("Grüße".encode(), "", {}, store)

    assert (image["id"], image["tags"]) == ("i", {"filename": "notes.txt", "year": 1})
    assert image["image"]["blob"].startswith("sha256:")
    assert text == {"tags": {}, "text": "Grüße"}


def test_a_file_that_is_nothing_known_is_refused(store: MediaStore) -> None:
    """Neither media nor text: the refusal names the file."""
    with pytest.raises(MediaRefusedError, match=r"x\.bin: neither media nor UTF-8 text"):
        item_of(b"\xff\x00\xfe", "x.bin", {}, store)


@pytest.fixture
def client(tmp_path: Path) -> TestClient:
    """Give a client of the API over an empty data folder, without workers."""
    return TestClient(create(Settings(data_dir=tmp_path)))


def test_a_blob_is_stored_and_read_in_ranges(client: TestClient) -> None:
    """Upload answers with the name; a player may ask for a part."""
    stored = client.post("/v1/blobs", content=png()).json()
    whole = client.get(f"/v1/blobs/{stored['blob']}")
    part = client.get(f"/v1/blobs/{stored['blob']}", headers={"range": "bytes=1-3"})

    assert (stored["modality"], stored["media_type"]) == ("image", "image/png")
    assert (whole.content, whole.headers["content-type"]) == (png(), "image/png")
    assert (part.status_code, part.content) == (206, b"PNG")
    assert "sandbox" in whole.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("path", "status"), [("nope", 400), (MISSING, 404), ("sha256:..%2f..%2fetc", 404)]
)
def test_only_stored_hashes_are_read(client: TestClient, path: str, status: int) -> None:
    """A name is a hash, never a path."""
    answer = client.get(f"/v1/blobs/{path}")

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_an_empty_upload_is_refused(client: TestClient) -> None:
    """There is nothing to store."""
    assert client.post("/v1/blobs", content=b"").status_code == 400
