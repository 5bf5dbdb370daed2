"""Room: given back after deletes, and an error in plain words when there is none."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, event

from indexstore.database import Database
from indexstore.errors import StorageFullError
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.migrations import migrate
from indexstore.model import EncodedDocument
from tests.indexstore.conftest import FINGERPRINT
from tests.indexstore.invariants import check_invariants
from tests.indexstore.samples import C, accept, append, chunks_of, store, text_document


def test_deleting_most_gives_the_space_back(sqlite_url: str) -> None:
    """Of 2000 documents nine in ten are deleted: the file shrinks as much, bit by bit."""
    ledger = Ledger.open(sqlite_url)
    ledger.ensure_collection(C, fingerprint=FINGERPRINT, shards=1)
    log, manifest = Log(ledger.database), Manifest(ledger.database)
    batch = [text_document(f"d{n}", f"text {n} " * 20) for n in range(2000)]
    acceptance = accept(ledger, *batch)
    pairs = zip(batch, acceptance.versions, strict=True)
    chunks = chunks_of(n=1, dim=384)
    append(log, *(EncodedDocument(d.doc_id, version, chunks) for d, version in pairs))
    ledger.database.give_back_space()
    before = ledger.database.size_bytes()

    ledger.delete(C, [document.doc_id for document in batch[:1800]])
    manifest.purge(C, grace_s=0, keep_seqs=0, delete_files=lambda _info: None)
    for _ in range(10):
        ledger.database.give_back_space(pages=200)
    after = ledger.database.size_bytes()

    assert after < 0.2 * before
    assert ledger.count(C) == 200
    check_invariants(ledger, log)
    ledger.close()


def test_a_full_database_says_so(sqlite_url: str) -> None:
    """Nothing is half-written, reading goes on, and so does writing when there is room again."""
    ledger = Ledger.open(sqlite_url)
    ledger.ensure_collection(C, fingerprint=FINGERPRINT, shards=1)
    log = Log(ledger.database)
    store(ledger, log, text_document("a"))
    limit = _limit_pages(ledger.database, 40)

    with pytest.raises(StorageFullError, match="nothing was written: free disk space") as caught:
        accept(ledger, *(text_document(f"d{n}", f"{n}" * 500) for n in range(1000)))

    assert caught.value.status == 507
    assert ledger.stamp(C) == (1, 1, 1)
    assert set(ledger.live(C, ["a"])) == {"a"}
    check_invariants(ledger, log)
    event.remove(ledger.database._writer, "begin", limit)
    _limit_pages(ledger.database, 100_000)
    assert accept(ledger, text_document("b")).token == 2
    ledger.close()


def _limit_pages(database: Database, pages: int) -> Callable[[Connection], None]:
    """Let SQLite treat the disk as full beyond some pages."""

    def limit(connection: Connection) -> None:
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    event.listen(database._writer, "begin", limit)
    return limit


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte; skips where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_says_so(small_disk: Path) -> None:
    """A real one: acknowledged documents stay, the refused ones leave nothing."""
    url = f"sqlite:///{small_disk}/gnes.db"
    migrate(url)
    ledger = Ledger.open(url)
    ledger.ensure_collection(C, fingerprint=FINGERPRINT, shards=1)
    accepted = 0

    def fill() -> None:
        nonlocal accepted
        while accepted < 100_000:
            accept(ledger, *(text_document(f"d{accepted + n}", "x" * 500) for n in range(50)))
            accepted += 50

    with pytest.raises(StorageFullError):
        fill()

    assert accepted > 0
    assert ledger.count(C) == accepted
    assert ledger.stamp(C)[0] == accepted
    check_invariants(ledger, Log(ledger.database))
    ledger.close()
