"""The data of the index store: plain, frozen, and free of every library but numpy."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, NamedTuple, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

#: A document's slot never changes, so shards can be re-dealt as ranges of slots without rehashing.
SLOTS = 1024

T = TypeVar("T")

Float32 = NDArray[np.float32]
Int32 = NDArray[np.int32]

Modality = Literal["text", "image", "video", "audio"]
DocumentState = Literal["queued", "indexed", "failed", "dead"]
JobState = Literal["running", "completed", "partial", "failed", "cancelled"]
LogOperation = Literal["upsert", "patch", "delete"]
Metric = Literal["ip", "cosine", "l2", "hamming", "bytes", "bits", "buckets"]

#: Log rows of every generation at once: deletes and patches concern all of them.
EVERY_GENERATION = 0

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def slot_of(doc_id: str) -> int:
    """Return the slot of a document, the same on every machine and for ever."""
    return crc32(doc_id.encode("utf-8", "surrogatepass")) % SLOTS


def slot_range(shard: int, shards: int) -> range:
    """Return the slots that shard ``shard`` of ``shards`` owns."""
    return range(shard * SLOTS // shards, (shard + 1) * SLOTS // shards)


def shard_of(slot: int, shards: int) -> int:
    """Return the shard that owns a slot: the inverse of ``slot_range``."""
    return ((slot + 1) * shards - 1) // SLOTS


def new_id() -> str:
    """Return a new ULID: 26 characters that sort by the time of their making."""
    value = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10))
    return "".join(_CROCKFORD[(value >> shift) & 31] for shift in range(125, -5, -5))


@dataclass(frozen=True, slots=True)
class Document:
    """What a user stores: an id, one content, tags to filter by and a weight."""

    doc_id: str
    modality: Modality
    content: Mapping[str, Any]  # {"text": "..."} or {"image": {"blob": "sha256:..."}}
    tags: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 1.0
    vector: Float32 | None = field(default=None, compare=False)  # the user's own embedding


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """A document's newest accepted version and how far it has come."""

    document: Document
    version: int
    content_version: int
    state: DocumentState
    error: str | None
    job_id: str
    attempts: int
    live_version: int | None  # the version that searches show; None: not yet searchable
    accepted_at: float  # seconds since the epoch, like every *_at
    updated_at: float


class LiveDocument(NamedTuple):
    """What a search may show of a document now; a tuple, for hundreds are made for every query.

    A hit is current when ``content_version <= hit version <= version``: patches move ``version``
    only, so that a shard that has not yet read a patch still finds the document.
    """

    version: int
    content_version: int
    content: Mapping[str, Any]
    tags: Mapping[str, Any]
    weight: float


@dataclass(frozen=True, slots=True)
class PendingDocument:
    """A document handed out for preprocessing and encoding, for as long as its lease runs."""

    document: Document
    content_version: int
    job_id: str
    attempts: int  # this one included
    accepted_at: float  # seconds since the epoch; 0 where it is encoded again


@dataclass(frozen=True, slots=True, eq=False)
class ChunkTable:
    """All chunks of one document, in columns of n rows."""

    positions: Int32  # (n,)
    weights: Float32  # (n,)
    # (n, 2): start and end, in seconds for sound and film; (n, 4): boxes; -1 where unused
    spans: Int32 | Float32
    texts: tuple[str, ...] | None  # only where a full-text index wants them
    embeddings: Mapping[str, Float32]  # (n, d) by vector name; the default vector is ""
    tags: Mapping[str, Any] = field(default_factory=dict)  # of the document, found in its content

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True, slots=True, eq=False)
class EncodedDocument:
    """What the encode stage made of one content: its chunks, or the reason why not."""

    doc_id: str
    content_version: int
    chunks: ChunkTable | None
    error: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class LogRow:
    """One operation of the log, in the order in which it was committed."""

    seq: int
    op: LogOperation
    doc_id: str
    version: int
    slot: int
    tags: Mapping[str, Any]
    weight: float
    chunks: ChunkTable | None  # None unless op is "upsert"


@dataclass(frozen=True, slots=True)
class CollectionInfo:
    """The counters of a collection."""

    name: str
    fingerprint: str
    generation: int
    epoch: int  # grows with every change of the number of shards
    shards: int
    last_version: int
    last_seq: int
    purged_seq: int  # a reader that has applied less than this loads the segments afresh
    created_at: float


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The receipt of accepted documents: from here on nothing may lose them."""

    job_id: str
    token: int  # the highest version given; a search with it waits for these documents
    versions: tuple[int, ...]  # in the order of the documents; empty when not known any more
    repeated: bool = False  # the answer to an earlier request with the same idempotency key


@dataclass(frozen=True, slots=True)
class Deletion:
    """The receipt of a delete: which documents there were, and the token."""

    token: int
    deleted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Appended:
    """What an append changed."""

    last_seq: int
    indexed: int = 0
    superseded: int = 0  # deleted or re-written meanwhile: dropped
    failed: int = 0
    repeated: int = 0  # delivered before: changed nothing
    outdated: int = 0  # encoded for a generation that serves no more: dropped
    serving: int = 1  # the generation that serves


@dataclass(frozen=True, slots=True)
class Job:
    """A batch of accepted documents and how far it has come."""

    id: str
    collection: str
    kind: str
    state: JobState
    total: int
    counts: Mapping[str, int]  # by document state, and "superseded"; their sum is total
    token: int
    reply_to: str | None
    error: str | None
    created_at: float
    finished_at: float | None
    payload: str | None = None  # what its doer works from, such as the blob of a training

    @property
    def pending(self) -> int:
        """Return how many documents are still on their way."""
        return self.counts.get("queued", 0)


@dataclass(frozen=True, slots=True)
class Artefact:
    """What one component of a flow has learnt, from which documents on."""

    stage: str
    branch: str  # the modality, "*" for all
    generation: int  # the first that it encodes
    blob: str  # npz in the media store, named by its content
    fingerprint: str  # of the learnt arrays
    trained_on: int  # documents
    job_id: str
    created_at: float


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """A row of the manifest: the rows live at build time of some slots and sequence numbers."""

    id: str
    collection: str
    generation: int
    index_name: str
    slot_from: int
    slot_to: int  # exclusive
    seq_from: int  # exclusive
    seq_to: int  # inclusive
    rows: int
    documents: int
    size_bytes: int
    checksum: str
    path: str
    created_at: float
    retired_at: float | None = None

    @property
    def slots(self) -> range:
        """Return the slots that the segment covers."""
        return range(self.slot_from, self.slot_to)


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a listing, and the cursor that continues it; None at the end."""

    items: tuple[T, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class IndexConfig:
    """One Indexer of the flow, as data."""

    name: str
    kind: Literal["vector", "text"] = "vector"
    engine: str = "hnsw"
    options: Mapping[str, Any] = field(default_factory=dict)
    metric: Metric = "cosine"
    vector: str = ""
    dim: int | None = None
    shards: int = 1
    py_path: tuple[str, ...] = ()  # plug-in files that may define the engine
