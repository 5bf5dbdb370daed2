"""Documents, chunks and segments to write tests with."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from sqlalchemy import event

from indexstore.database import Database
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import (
    SLOTS,
    Acceptance,
    Appended,
    ChunkTable,
    Document,
    EncodedDocument,
    LogRow,
    PendingDocument,
    SegmentInfo,
    new_id,
)

C = "text"
EVERYTHING = range(SLOTS)


def text_document(doc_id: str, text: str = "a text", **fields: Any) -> Document:
    """Return a text document."""
    return Document(doc_id, "text", {"text": text}, **fields)


def chunks_of(value: float = 1.0, *, n: int = 2, dim: int = 4) -> ChunkTable:
    """Return n chunks whose embeddings all hold one value."""
    return ChunkTable(
        positions=np.arange(n, dtype=np.int32),
        weights=np.full(n, 1 / max(n, 1), np.float32),
        spans=np.zeros((n, 2), np.int32),
        texts=None,
        embeddings={"": np.full((n, dim), value, np.float32)},
    )


def accept(ledger: Ledger, *documents: Document, lease_s: float = 60.0) -> Acceptance:
    """Accept documents whose encoding the test sees to."""
    return ledger.accept(C, documents, lease_s=lease_s)


def encoded(doc_id: str, content_version: int, value: float = 1.0) -> EncodedDocument:
    """Return what an encoder would make of a content."""
    return EncodedDocument(doc_id, content_version, chunks_of(value))


def append(log: Log, *documents: EncodedDocument, generation: int = 1) -> Appended:
    """Append to the log of the collection."""
    return log.append(C, documents, generation=generation)


def store(ledger: Ledger, log: Log, *documents: Document) -> Acceptance:
    """Accept documents and make them searchable."""
    acceptance = accept(ledger, *documents)
    pairs = zip(documents, acceptance.versions, strict=True)
    append(log, *(encoded(document.doc_id, version) for document, version in pairs))
    return acceptance


def encode_all(log: Log, pending: Sequence[PendingDocument], value: float = 1.0) -> Appended:
    """Append what was leased."""
    return append(log, *(encoded(p.document.doc_id, p.content_version, value) for p in pending))


def tail(log: Log, after: int = 0, *, generation: int = 1) -> list[LogRow]:
    """Return all rows after a sequence number."""
    return log.tail(C, after, generation=generation, slots=EVERYTHING, limit=100_000)


def segment(seq_from: int, seq_to: int, **fields: Any) -> SegmentInfo:
    """Return a segment over all slots."""
    known: Mapping[str, Any] = {
        "id": new_id(), "collection": C, "generation": 1, "index_name": "chunks",
        "slot_from": 0, "slot_to": SLOTS, "rows": 2, "documents": 1, "size_bytes": 100,
        "checksum": "sha256:0", "path": "segments/x", "created_at": time.time(),
    }  # fmt: skip
    return SegmentInfo(**{**known, **fields}, seq_from=seq_from, seq_to=seq_to)


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """Collect the statements that are run within the block."""
    run: list[str] = []

    def note(*event_of: Any) -> None:
        run.append(event_of[2])

    engines = (database._reader, database._writer)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield run
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)
