"""Media on their way in: what they are is read from their bytes, and they are kept once."""

import struct
import zlib
from base64 import b64encode
from io import BytesIO
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
    image = item_of(BytesIO(png()), "notes.txt", {"id": "i", "tags": {"year": 1}}, store)
    text = item_of(BytesIO("Grüße".encode()), "", {}, store)

    assert (image["id"], image["tags"]) == ("i", {"filename": "notes.txt", "year": 1})
    assert image["image"]["blob"].startswith("sha256:")
    assert text == {"tags": {}, "text": "Grüße"}


def test_a_file_that_is_nothing_known_is_refused(store: MediaStore) -> None:
    """Neither media nor text: the refusal names the file."""
    with pytest.raises(MediaRefusedError, match=r"x\.bin: neither media nor UTF-8 text"):
        item_of(BytesIO(b"\xff\x00\xfe"), "x.bin", {}, store)


@pytest.fixture(params=["file", "memory"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> TestClient:
    """Give a client of the API over an empty folder or object store, without workers."""
    blob_url = f"memory://{tmp_path.name}" if request.param == "memory" else ""
    return TestClient(create(Settings(data_dir=tmp_path, blob_url=blob_url)))


def test_a_blob_is_stored_and_read_in_ranges(client: TestClient) -> None:
    """Upload answers with the name; a player may ask for a part."""
    stored = client.post("/v1/blobs", content=png()).json()
    whole = client.get(f"/v1/blobs/{stored['blob']}")
    part = client.get(f"/v1/blobs/{stored['blob']}", headers={"range": "bytes=1-3"})

    assert (stored["modality"], stored["media_type"]) == ("image", "image/png")
    assert (whole.content, whole.headers["content-type"]) == (png(), "image/png")
    assert (part.status_code, part.content) == (206, b"PNG")
    assert part.headers["content-range"] == f"bytes 1-3/{len(png())}"
    assert "sandbox" in whole.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("header", "start", "stop"),
    [("bytes=5-", 5, None), ("bytes=-4", -4, None), ("bytes=0-99999", 0, None), ("x", 0, None)],
)
def test_a_player_may_seek(client: TestClient, header: str, start: int, stop: int | None) -> None:
    """From somewhere on, the last bytes, beyond the end; what is no range gets everything."""
    stored = client.post("/v1/blobs", content=png()).json()

    answer = client.get(f"/v1/blobs/{stored['blob']}", headers={"range": header})

    assert answer.content == png()[start:stop]
    assert answer.headers["content-length"] == str(len(answer.content))


def test_a_range_beyond_the_end_is_refused(client: TestClient) -> None:
    """416, with the length that there is."""
    stored = client.post("/v1/blobs", content=png()).json()

    answer = client.get(f"/v1/blobs/{stored['blob']}", headers={"range": "bytes=99999-"})

    assert answer.status_code == 416
    assert str(len(png())) in answer.headers["content-range"]


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


def test_an_upload_may_be_longer_than_a_body(tmp_path: Path) -> None:
    """Contents have a limit of their own, for they go to the disk as they come; it is named."""
    limits = Limits(max_body_bytes=1024, max_upload_bytes=100_000)
    client = TestClient(create(Settings(data_dir=tmp_path, limits=limits)))

    stored = client.post("/v1/blobs", content=png() + bytes(50_000))
    too_long = client.post("/v1/blobs", content=png() + bytes(200_000))

    assert stored.json()["size_bytes"] == len(png()) + 50_000
    assert too_long.status_code == 413
    assert "max_upload_bytes" in too_long.json()["detail"]


def test_a_blob_is_described_without_its_bytes(client: TestClient) -> None:
    """HEAD tells length, type and name; who names the ETag gets no bytes again."""
    name = client.post("/v1/blobs", content=png()).json()["blob"]

    head = client.head(f"/v1/blobs/{name}")
    again = client.get(f"/v1/blobs/{name}", headers={"if-none-match": head.headers["etag"]})

    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(png()))
    assert head.headers["accept-ranges"] == "bytes"
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("url", ["file", "memory"])
@pytest.mark.parametrize(
    ("asked", "status", "part", "content_range"),
    [
        ({"range": "bytes=2-4"}, 206, slice(2, 5), "bytes 2-4/{size}"),
        ({"range": "bytes=2-"}, 206, slice(2, None), "bytes 2-{last}/{size}"),
        ({"range": "bytes=-3"}, 206, slice(-3, None), "bytes {tail}-{last}/{size}"),
        ({"range": "bytes=0-999999"}, 206, slice(0, None), "bytes 0-{last}/{size}"),
        ({"range": "bytes=999999-"}, 416, slice(0, 0), "bytes */{size}"),
        ({"range": "bytes=-0"}, 416, slice(0, 0), "bytes */{size}"),
        ({"range": "bytes=5-2"}, 200, slice(None), None),
        ({"range": "bytes=a-b"}, 200, slice(None), None),
        ({"range": "lines=1-2"}, 200, slice(None), None),
        ({"range": "bytes=0-1,3-4"}, 200, slice(None), None),
        ({"range": "bytes=1-2", "if-range": '"other"'}, 200, slice(None), None),
        ({"range": "bytes=1-2", "if-range": "Wed, 21 Oct 2015"}, 200, slice(None), None),
        ({"range": "bytes=1-2", "if-range": "ETAG"}, 206, slice(1, 3), "bytes 1-2/{size}"),
    ],
)  # fmt: skip
def test_ranges_are_served_from_any_store(
    tmp_path: Path, url: str, asked: dict[str, str], status: int, part: slice, content_range: str
) -> None:
    """What a player asks for and no more; a range that means nothing gives the whole."""
    blob_url = f"memory://{tmp_path.name}" if url == "memory" else ""
    client = TestClient(create(Settings(data_dir=tmp_path, blob_url=blob_url)))
    name = client.post("/v1/blobs", content=png()).json()["blob"]
    headers = {key: value.replace("ETAG", f'"{name}"') for key, value in asked.items()}

    answer = client.get(f"/v1/blobs/{name}", headers=headers)

    size = len(png())
    assert answer.status_code == status
    assert answer.content == png()[part]
    facts = {"size": size, "last": size - 1, "tail": size - 3}
    expected = content_range.format(**facts) if content_range else None
    assert answer.headers.get("content-range") == expected


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no bytes"),
        (b"%PDF-1.7" + bytes(100), "application/pdf"),
        (b"text " * 4_000_000, "over 16777216 bytes of text"),
        (b"words \x00 words", "holds NUL"),
    ],
)
def test_a_part_of_a_form_that_is_no_document_is_refused(
    store: MediaStore, content: bytes, says: str
) -> None:
    """Empty files, other types and endless texts: each alone, with a reason."""
    with pytest.raises(MediaRefusedError, match=says):
        item_of(BytesIO(content), "x", {}, store)


def test_a_container_is_taken_as_what_the_flow_takes(store: MediaStore) -> None:
    """A film's file is a sound where the flow takes sounds alone; and it may be called one."""
    film = b"\x00\x00\x00\x18ftypisom\x00\x00\x00\x00isom" + bytes(64)

    assert "video" in item_of(BytesIO(film), "a.mp4", {}, store)
    assert "audio" in item_of(BytesIO(film), "a.mp4", {}, store, ("audio",))
    assert settle(Media(base64=b64encode(film).decode()), "audio", store)["size_bytes"] == len(film)


def test_a_name_of_a_file_is_shown_without_its_path(store: MediaStore) -> None:
    """Whatever the sender's system writes paths with."""
    for name in ("C:\\pictures\\cat.png", "../../etc/cat.png"):
        assert item_of(BytesIO(png()), name, {}, store)["tags"] == {"filename": "cat.png"}


@pytest.mark.parametrize(
    ("path", "status", "says"),
    [
        ("thumbnail?size=0", 400, "greater than"),
        ("thumbnail?box=1,2,1,4", 400, "x0 < x1"),
        ("thumbnail?box=a", 400, "pattern"),
        ("thumbnail?at=nan", 400, "finite"),
        ("clip?from=3&to=2", 400, "more than `from`"),
        ("clip?from=0&to=1000", 400, "at most 60 s"),
        ("clip?format=exe", 400, "'mp4'"),
        ("thumbnail", 422, "takes no media"),
    ],
)
def test_a_preview_that_makes_no_sense_is_refused(
    client: TestClient, path: str, status: int, says: str
) -> None:
    """The parameter and the reason are said; a flow of texts has nobody to make previews."""
    name = client.post("/v1/blobs", content=png()).json()["blob"]

    answer = client.get(f"/v1/blobs/{name}/{path}")

    assert answer.status_code == status
    assert says in answer.json()["detail"]
