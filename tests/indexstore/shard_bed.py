"""A collection in a temporary folder, written to as the pipeline does, and its oracle."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from indexstore.blobs import Blobs
from indexstore.build import BuildPolicy, BuildReport, build_shard
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.migrations import migrate
from indexstore.model import ChunkTable, Document, EncodedDocument, Float32, IndexConfig
from indexstore.place import Place
from indexstore.query import ShardHits, ShardQuery
from indexstore.shard import Shard

# On busy cores the threads of one small product spend their time waiting for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

COLLECTION = "bed"
Answer = list[list[tuple[str, float]]]


@dataclass
class Stored:
    """What the oracle knows of a document."""

    vectors: Float32
    chunk_weights: Float32
    weight: float = 1.0
    tags: Mapping[str, Any] = field(default_factory=dict)


def table(vectors: Float32, weights: Float32 | None = None, **names: Float32) -> ChunkTable:
    """Return a chunk table of these vectors, spans ten characters long."""
    n = len(vectors)
    positions = np.arange(n, dtype=np.int32)
    given = np.ones(n, np.float32) if weights is None else np.asarray(weights, np.float32)
    spans = np.stack([positions * 10, positions * 10 + 9], axis=1)
    return ChunkTable(positions, given, spans, None, {"": np.asarray(vectors, np.float32), **names})


class Bed:
    """Ledger, log, manifest and blobs of one collection, and a dict of what is stored.

    Args:
        folder: where segments lie. url: a migrated database; one of its own by default.
    """

    def __init__(self, folder: Path, url: str | None = None) -> None:
        self.folder = folder
        if url is None:
            url = f"sqlite:///{folder / 'store.sqlite'}"
            migrate(url)
        self.ledger = Ledger.open(url)
        self.log = Log(self.ledger.database)
        self.manifest = Manifest(self.ledger.database)
        self.blobs = Blobs(folder / "segments")
        self.ledger.ensure_collection(COLLECTION, fingerprint="f", shards=1)
        self.stored: dict[str, Stored] = {}

    def put(self, documents: Mapping[str, Stored]) -> int:
        """Accept and index documents; return the log's end."""
        accepted = [
            Document(i, "text", {"text": i}, tags=dict(s.tags), weight=s.weight)
            for i, s in documents.items()
        ]
        versions = self.ledger.accept(COLLECTION, accepted, lease_s=60).versions
        encoded = [
            EncodedDocument(i, version, table(s.vectors, s.chunk_weights))
            for (i, s), version in zip(documents.items(), versions, strict=True)
        ]
        self.stored.update(documents)
        return self.log.append(COLLECTION, encoded, generation=1).last_seq

    def put_boxes(self, doc_id: str, vectors: Float32, boxes: Float32) -> None:
        """Accept and index a picture whose chunks stand in these boxes."""
        document = Document(doc_id, "text", {"text": doc_id})
        (version,) = self.ledger.accept(COLLECTION, [document], lease_s=60).versions
        chunks = replace(table(vectors), spans=boxes)
        self.log.append(COLLECTION, [EncodedDocument(doc_id, version, chunks)], generation=1)

    def patch(
        self, doc_id: str, *, weight: float | None = None, tags: Mapping[str, Any] | None = None
    ) -> None:
        """Change weight or tags of a document."""
        self.ledger.patch(COLLECTION, doc_id, weight=weight, tags=tags)
        old = self.stored[doc_id]
        merged = {**old.tags, **(tags or {})}
        new = old.weight if weight is None else weight
        self.stored[doc_id] = replace(old, weight=new, tags=merged)

    def delete(self, doc_ids: Sequence[str]) -> None:
        """Delete documents."""
        self.ledger.delete(COLLECTION, doc_ids)
        for doc_id in doc_ids:
            self.stored.pop(doc_id, None)

    def place(self, config: IndexConfig, shard: int = 0) -> Place:
        """Return where a shard of the collection stands."""
        return Place(self.log, self.manifest, self.blobs, config, COLLECTION, shard, 1)

    def shards(self, config: IndexConfig) -> list[Shard]:
        """Open every shard of an index."""
        return [Shard.open(self.place(config, shard)) for shard in range(config.shards)]

    def build(
        self, config: IndexConfig, *, force: bool = True, policy: BuildPolicy | None = None
    ) -> list[BuildReport]:
        """Build every shard of an index."""
        return [
            build_shard(self.place(config, shard), policy=policy, force=force)
            for shard in range(config.shards)
        ]

    def seq(self) -> int:
        """Return the log's end."""
        return self.log.last_seq(COLLECTION)


def answer_of(shards: Sequence[Shard], query: ShardQuery) -> Answer:
    """Ask every shard and merge, as the reduce step does."""
    merged: Answer = [[] for _ in range(query.queries)]
    for shard in shards:
        for number, hits in enumerate(pairs(shard.search(query))):
            merged[number] += hits
    return [sorted(hits, key=lambda h: (-h[1], h[0]))[: query.limit] for hits in merged]


def pairs(hits: ShardHits) -> Answer:
    """Return (id, score) of every hit, query by query."""
    ends = np.cumsum(hits.counts).tolist()
    scores = hits.scores.tolist()
    return [
        list(zip(hits.doc_ids[end - n : end], scores[end - n : end], strict=True))
        for n, end in zip(hits.counts.tolist(), ends, strict=True)
    ]


def random_rows(rng: np.random.Generator, n: int, dim: int = 8) -> Float32:
    """Return random rows, some of them equal to each other, so that scores tie."""
    rows = rng.standard_normal((n, dim)).astype(np.float32)
    rows[rng.random(n) < 0.2] = np.eye(1, dim, dtype=np.float32)
    return rows


def oracle(
    stored: Mapping[str, Stored], query: ShardQuery, *, metric: str = "cosine", score: str = "sum"
) -> Answer:
    """Answer by brute force, in double precision, straight from the definition."""
    rows, weights = query.embeddings.astype(np.float64), query.weights.astype(np.float64)
    answer = []
    for number in range(query.queries):
        mine = query.owners == number
        asked = stored if mine.any() else {}
        hits = [
            (i, _score(s, rows[mine], weights[mine], (metric, score))) for i, s in asked.items()
        ]
        answer.append(sorted(hits, key=lambda h: (-h[1], h[0]))[: query.limit])
    return answer


def _score(document: Stored, rows: Any, weights: Any, how: tuple[str, str]) -> float:
    metric, score = how
    vectors = document.vectors.astype(np.float64)
    if metric == "cosine":
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    if metric == "l2":
        relevance = 1 / (1 + np.linalg.norm(vectors[:, None] - rows[None], axis=2))
    elif metric == "hamming":
        relevance = ((vectors[:, None] > 0) == (rows[None] > 0)).mean(axis=2)
    else:
        relevance = vectors @ rows.T
    pairs_ = relevance * document.chunk_weights.astype(np.float64)[:, None] * weights
    reduced: dict[str, Any] = {
        "sum": np.sum,
        "avg": np.mean,
        "max": np.max,
        "min": np.min,
        "multiply": np.prod,
    }
    return float(reduced[score](pairs_) * document.weight)
