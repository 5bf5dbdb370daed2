"""Folders of segments, wherever they lie: whole or not there, fetched once, swept when lost."""

import subprocess
import sys
from pathlib import Path

import pytest

from indexstore.blobs import LAST_FILE, Blobs
from indexstore.errors import MissingPackageError
from indexstore.filesystems import PACKAGES, BlobsUnavailableError, filesystem
from tests.servers.s3 import BUCKET, S3Server, running_s3

ROOT = Path(__file__).parents[2]
KEY = "text/chunks/1/01H"
FILES = {LAST_FILE: b"{}", "versions.npy": b"\x00" * 9, "text/meta": b"nested", "empty": b""}


@pytest.fixture
def blobs(blob_url: str, tmp_path: Path) -> Blobs:
    """A store as a builder sees it."""
    return Blobs(blob_url, cache=tmp_path / "here")


@pytest.fixture
def elsewhere(blob_url: str, tmp_path: Path) -> Blobs:
    """The same store as a reader on another machine sees it."""
    return Blobs(blob_url, cache=tmp_path / "there")


def published(blobs: Blobs, key: str = KEY) -> None:
    """Publish a folder of a few files."""
    folder = blobs.stage()
    for name, content in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    blobs.publish(folder, key)


def files_of(folder: Path) -> dict[str, bytes]:
    """Return what a folder holds."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_was_published_is_there_whole(blobs: Blobs, elsewhere: Blobs) -> None:
    """For its builder and for every reader, folders in folders and empty files included."""
    published(blobs)

    assert files_of(blobs.fetch(KEY)) == FILES
    assert files_of(elsewhere.fetch(KEY)) == FILES


def test_what_was_not_published_is_not_there(blobs: Blobs, elsewhere: Blobs) -> None:
    """A stage is nobody else's, and leaves nothing when it is given up."""
    folder = blobs.stage()
    (folder / LAST_FILE).write_bytes(b"half")

    for store in (blobs, elsewhere):
        with pytest.raises(FileNotFoundError):
            store.fetch(KEY)
    blobs.discard(folder)
    assert blobs.size_bytes() == 0


def test_a_deleted_folder_is_gone(blobs: Blobs, elsewhere: Blobs) -> None:
    """For everybody who has no copy of it; deleting it again is no error."""
    published(blobs)

    blobs.delete(KEY)
    blobs.delete(KEY)

    with pytest.raises(FileNotFoundError):
        elsewhere.fetch(KEY)


def test_a_copy_is_fetched_again_only_where_there_is_an_original(
    blobs: Blobs, elsewhere: Blobs
) -> None:
    """A bad copy is forgotten; a local folder is the original itself and stays."""
    published(blobs)
    copy = elsewhere.fetch(KEY)

    assert elsewhere.forget(KEY) is not elsewhere.is_local
    if not elsewhere.is_local:
        assert not copy.exists()
    assert files_of(elsewhere.fetch(KEY)) == FILES


def test_what_a_dead_builder_left_is_swept_and_nothing_else(blobs: Blobs, elsewhere: Blobs) -> None:
    """Folders that no manifest knows go once they are old; known and young ones stay."""
    published(blobs)
    published(blobs, "text/chunks/1/02H")
    blobs.stage()

    young = blobs.sweep("text", {KEY}, age_s=60)
    swept = blobs.sweep("text", {KEY}, age_s=-60)

    assert young == 0
    assert swept >= 2
    assert files_of(elsewhere.fetch(KEY)) == FILES
    with pytest.raises(FileNotFoundError):
        elsewhere.fetch("text/chunks/1/02H")


def test_old_copies_are_swept_here_alone(s3: S3Server, tmp_path: Path) -> None:
    """What the manifest has forgotten need not stay on every machine that once served it."""
    blobs = Blobs(f"s3://{BUCKET}/copies", cache=tmp_path)
    published(blobs)

    assert blobs.sweep_here("text", set(), age_s=-60) == 1

    assert blobs.size_bytes() == 0
    assert len([key for key in s3.objects() if key.startswith("copies/")]) == len(FILES)
    assert files_of(blobs.fetch(KEY)) == FILES


def test_half_an_upload_is_no_folder(s3: S3Server, tmp_path: Path) -> None:
    """A builder that dies while it uploads leaves nothing that a reader would take for whole."""
    blobs = Blobs(f"s3://{BUCKET}/half", cache=tmp_path / "here")
    files, prefix = filesystem(f"s3://{BUCKET}/half")
    files.pipe_file(f"{prefix}/{KEY}/versions.npy", b"\x00" * 9)

    with pytest.raises(FileNotFoundError):
        blobs.fetch(KEY)
    assert s3.objects()
    assert blobs.sweep("text", set(), age_s=-60) == 1


def test_a_store_that_is_away_is_named_with_what_to_check(tmp_path: Path) -> None:
    """Fetching and publishing say which store it is; nothing is taken for missing or published."""
    with running_s3() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        patch.setenv("AWS_MAX_ATTEMPTS", "1")  # or it takes its time to give up
        files, _ = filesystem(f"s3://{BUCKET}/away")
        files.clear_instance_cache()
        blobs = Blobs(f"s3://{BUCKET}/away", cache=tmp_path / "here")
        published(blobs)
        server.stop()

        with pytest.raises(BlobsUnavailableError, match=f"s3://{BUCKET}/away.*AWS_ENDPOINT_URL"):
            Blobs(f"s3://{BUCKET}/away", cache=tmp_path / "there").fetch(KEY)
        with pytest.raises(BlobsUnavailableError):
            published(blobs, "text/chunks/1/02H")
        files.clear_instance_cache()
    assert not (tmp_path / "here" / "text/chunks/1/02H").exists()
    assert list((tmp_path / "here" / ".staging").iterdir())  # the builder throws it away


def test_without_the_library_the_cure_is_named() -> None:
    """A protocol that needs a package says which; an unknown one says so."""
    code = (
        "import sys; sys.modules['s3fs'] = None\n"
        "from indexstore.filesystems import filesystem\n"
        "try: filesystem('s3://bucket/path')\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout

    assert said.startswith("MissingPackageError GNES_BLOB_URL=s3://bucket/path needs")
    assert f"pip install {PACKAGES['s3']}" in said
    with pytest.raises(MissingPackageError, match="pip install gcsfs"):
        filesystem("gs://bucket/path")
    with pytest.raises(BlobsUnavailableError, match="nowhere"):
        filesystem("nowhere://bucket")


def test_the_cure_is_what_the_requirements_pin() -> None:
    """Both requirements files install what the error asks for."""
    for name in ("requirements.txt", "requirements-dev.txt"):
        assert PACKAGES["s3"] in (ROOT / name).read_text()
