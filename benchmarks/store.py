"""A collection of the index store in a folder, without queue or server: written, built, opened."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexstore.blobs import Blobs
from indexstore.build import build_shard
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.migrations import migrate
from indexstore.model import ChunkTable, Document, EncodedDocument, IndexConfig
from indexstore.place import Place
from indexstore.query import ShardHits
from indexstore.shard import Shard

COLLECTION = "bench"
BATCH = 2000  # documents in one write

Vectors = NDArray[np.float32]


class BenchStore:
    """Ledger, log, manifest and segments of one collection."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        url = f"sqlite:///{folder / 'store.sqlite'}"
        migrate(url)
        self.ledger = Ledger.open(url)
        self.log = Log(self.ledger.database)
        self.manifest = Manifest(self.ledger.database)
        self.blobs = Blobs(folder / "segments")
        self.ledger.ensure_collection(COLLECTION, fingerprint="bench", shards=1)

    def put(self, documents: Sequence[Document], chunks: Sequence[ChunkTable]) -> None:
        """Accept and index documents with their chunks."""
        accepted = self.ledger.accept(COLLECTION, documents, job_id=None, lease_s=3600.0)
        encoded = [
            EncodedDocument(document.doc_id, version, table)
            for document, version, table in zip(documents, accepted.versions, chunks, strict=True)
        ]
        self.log.append(COLLECTION, encoded, generation=1)

    def put_rows(
        self, rows: Vectors, tags: Sequence[Mapping[str, Any]] | None = None, *, first: int = 0
    ) -> float:
        """Store a document a row, its id the row's number from ``first``; return the seconds."""
        started = time.perf_counter()
        for at, block in batches(rows):
            documents = [
                Document(row_id(first + n), "text", {"text": ""}, tags[n] if tags else {})
                for n in range(at, at + len(block))
            ]
            self.put(documents, [one_chunk(row) for row in block])
        return time.perf_counter() - started

    def place(self, config: IndexConfig) -> Place:
        """Return where the one shard of an index stands."""
        return Place(self.log, self.manifest, self.blobs, config, COLLECTION, 0, 1)

    def build(self, config: IndexConfig) -> float:
        """Build the index's segment; return the seconds it took."""
        started = time.perf_counter()
        build_shard(self.place(config), force=True)
        return time.perf_counter() - started

    def open(self, config: IndexConfig) -> Shard:
        """Open the index's shard."""
        return Shard.open(self.place(config))


def batches(rows: Vectors) -> Iterator[tuple[int, Vectors]]:
    """Yield the rows by writes, each with the number of its first."""
    for first in range(0, len(rows), BATCH):
        yield first, rows[first : first + BATCH]


def row_id(number: int) -> str:
    """Return the id of the document of a row."""
    return f"{number:07}"


def one_chunk(row: Vectors) -> ChunkTable:
    """Return a document of one chunk."""
    return ChunkTable(
        np.zeros(1, np.int32), np.ones(1, np.float32), np.zeros((1, 2), np.int32), None,
        {"": np.ascontiguousarray(row[None])},
    )  # fmt: skip


def rows_found(hits: ShardHits, limit: int) -> list[list[int]]:
    """Return the row numbers of each query's first hits."""
    found, first = [], 0
    for count in hits.counts.tolist():
        found.append([int(doc_id) for doc_id in hits.doc_ids[first : first + min(count, limit)]])
        first += count
    return found
