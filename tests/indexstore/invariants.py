"""What must hold of ledger and log at every moment, whoever was killed while doing what."""

from collections import defaultdict

from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import LogRow, StoredDocument, slot_of
from tests.indexstore.samples import C, tail


def all_documents(ledger: Ledger) -> dict[str, StoredDocument]:
    """Return every document of the collection."""
    found: dict[str, StoredDocument] = {}
    cursor = None
    while True:
        page = ledger.scroll(C, limit=500, cursor=cursor)
        found |= {stored.document.doc_id: stored for stored in page.items}
        cursor = page.cursor
        if cursor is None:
            return found


def check_invariants(ledger: Ledger, log: Log) -> None:
    """Fail when ledger and log contradict each other or themselves."""
    info, documents = ledger.collection(C), all_documents(ledger)
    rows: dict[str, dict[str, LogRow]] = defaultdict(dict)
    for row in tail(log):
        assert row.op not in rows[row.doc_id], f"two {row.op} rows of {row.doc_id}"
        assert row.seq <= info.last_seq
        assert row.version <= info.last_version
        assert row.slot == slot_of(row.doc_id)
        rows[row.doc_id][row.op] = row
    versions = [stored.version for stored in documents.values()]
    assert len(set(versions)) == len(versions), "two documents share a version"
    assert max(versions, default=0) <= info.last_version
    for doc_id, stored in documents.items():
        check_live(stored, rows[doc_id])
    for doc_id, of_document in rows.items():
        assert doc_id in documents or set(of_document) <= {"delete"}, f"{doc_id} has come back"


def check_live(stored: StoredDocument, rows: dict[str, LogRow]) -> None:
    """Fail when what the ledger calls live is not what the log ends with."""
    assert stored.content_version <= stored.version
    doc_id = stored.document.doc_id
    if stored.state == "indexed":
        assert stored.live_version == stored.version, f"{doc_id} is indexed but not live"
    if stored.live_version is None:
        assert set(rows) <= {"delete"}, f"{doc_id} is in the log but not live"
        return
    assert "delete" not in rows, f"{doc_id} is live beside its tombstone"
    assert "upsert" in rows, f"{doc_id} is live but not in the log"
    last = max(rows.values(), key=lambda row: row.seq)
    assert last.version == stored.live_version, f"{doc_id}: the log ends with another version"
    if stored.state == "indexed":
        assert (last.tags, last.weight) == (stored.document.tags, stored.document.weight)


def replayed(rows: list[LogRow], known: dict[str, int] | None = None) -> dict[str, int]:
    """Return what a reader knows that has applied these rows in order: versions by id."""
    versions = dict(known or {})
    for row in rows:
        if row.op == "delete":
            versions.pop(row.doc_id, None)
        else:
            versions[row.doc_id] = row.version
    return versions
