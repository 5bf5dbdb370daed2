"""House-keeping."""

from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest, Purged
from indexstore.model import Document, EncodedDocument
from indexstore.upkeep import UpkeepPolicy, referenced_blobs, tidy
from tests.indexstore.invariants import check_invariants
from tests.indexstore.samples import C, accept, append, chunks_of, segment, store, text_document

NOTHING_IS_KEPT = UpkeepPolicy(grace_s=0, keep_seqs=0, keep_jobs_s=0)


def test_what_nobody_needs_goes(ledger: Ledger, log: Log, manifest: Manifest) -> None:
    """Retired segments with their files, void tombstones, and jobs that ended."""
    store(ledger, log, text_document("a"), text_document("b"))
    manifest.publish(segment(0, 2, id="old"))
    ledger.delete(C, ["a"])
    manifest.publish(segment(0, 3, id="new"), retires=["old"])
    ledger.close_jobs()
    files: list[str] = []

    purged = tidy(
        ledger,
        C,
        delete_files=lambda info: files.append(info.id),
        policy=NOTHING_IS_KEPT,
        now=2e10,
    )

    assert purged == Purged(tombstones=1, segments=1)
    assert files == ["old"]
    assert ledger.jobs().items == ()
    check_invariants(ledger, log)


def test_by_default_nothing_recent_goes(ledger: Ledger, log: Log, manifest: Manifest) -> None:
    """Readers that are behind, and clients that repeat themselves, are not surprised."""
    store(ledger, log, text_document("a"))
    manifest.publish(segment(0, 1, id="old"))
    manifest.retire(C, ["old"])
    ledger.delete(C, ["a"])
    ledger.close_jobs()

    purged = tidy(ledger, C, delete_files=lambda _info: None)

    assert purged == Purged()
    assert len(ledger.jobs().items) == 1


def test_deleting_most_gives_the_room_back(ledger: Ledger, log: Log) -> None:
    """Of 3000 documents nine in ten are deleted: one call shrinks a SQLite file as much."""
    batch = [text_document(f"d{n}", f"text {n} " * 20) for n in range(3000)]
    acceptance = accept(ledger, *batch)
    pairs = zip(batch, acceptance.versions, strict=True)
    chunks = chunks_of(n=2, dim=384)
    append(log, *(EncodedDocument(d.doc_id, version, chunks) for d, version in pairs))
    database = ledger.database
    database.give_back_space()
    before = database.size_bytes()

    ledger.delete(C, [document.doc_id for document in batch[:2700]])
    tidy(ledger, C, delete_files=lambda _info: None, policy=NOTHING_IS_KEPT)

    assert ledger.count(C) == 300
    if database.is_sqlite:  # PostgreSQL's autovacuum takes its own time
        assert database.size_bytes() < 0.25 * before
    check_invariants(ledger, log)


def test_media_of_documents_are_referred_to_also_while_they_are_replaced(
    ledger: Ledger, log: Log
) -> None:
    """The content that is shown and the one on its way; a deleted document refers to nothing."""

    def picture(doc_id: str, blob: str) -> Document:
        return Document(doc_id, "image", {"image": {"blob": blob}})

    store(ledger, log, picture("a", "sha256:old"), picture("b", "sha256:gone"))
    accept(ledger, picture("a", "sha256:new"))
    ledger.delete(C, ["b"])

    assert referenced_blobs(ledger) == {"sha256:old", "sha256:new"}
