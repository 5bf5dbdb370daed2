"""What the messages between the processes say, as frozen data.

Every message is one dataclass of plain values and arrays. ``to_wire`` and ``from_wire`` are its
only way in and out; a message of another version is refused by name instead of misread.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from compose.wire.codec import WireFormatError

WIRE_VERSION: Final = 2

#: A shard as messages name it: index of the flow, shard, and of how many. So that a worker that
#: serves another layout can only refuse, never answer with another range of documents.
Target = tuple[int, int, int]
NOBODY: Final[Target] = (-1, -1, 0)


def target_of(wire: Any) -> Target:
    """Return a target as it is after the wire, where it is a list."""
    index, shard, of = wire
    return int(index), int(shard), int(of)


Mode = Literal["vector", "text", "hybrid"]


class Message:
    """Base of all messages: a dataclass that travels as a map of its fields."""

    __slots__ = ()

    def to_wire(self) -> dict[str, Any]:
        """Return the message as plain data and arrays."""
        wire = {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]  # every subclass is a dataclass
        wire["v"] = WIRE_VERSION
        return wire

    @classmethod
    def from_wire(cls, wire: Mapping[str, Any]) -> Self:
        """Rebuild the message.

        Raises:
            WireFormatError: another version wrote it, or it is no such message.
        """
        data = dict(wire)
        version = data.pop("v", None)
        if version != WIRE_VERSION:
            reason = f"{cls.__name__} has version {version!r}, this process reads {WIRE_VERSION}"
            raise WireFormatError(reason)
        try:
            return cls(**data)
        except TypeError as error:
            raise WireFormatError(f"{cls.__name__}: {error}") from error


@dataclass(frozen=True, slots=True)
class SearchParams(Message):
    """What the queries of one batch share; only queries with equal parameters travel together."""

    limit: int = 10
    offset: int = 0
    score_threshold: float | None = None
    filter: Mapping[str, Any] | None = None
    exclude: tuple[str, ...] = ()  # documents never to return, such as those asked by id
    slack: int = 4  # further documents a shard sends, against those that reduce must drop
    exact: bool = False
    ef: int | None = None
    group_size: int = 3
    with_content: bool = True
    with_vector: bool = False
    highlight: bool = False
    explain: bool = False
    trace: bool = False
    mode: Mode = "vector"
    asked: tuple[int, ...] = ()  # indexes of the flow; all of the mode when empty
    weights: Mapping[str, float] | None = None  # by index: how much it counts in this query


@dataclass(frozen=True, slots=True)
class QueryBatch(Message):
    """Queries on their way from the API to the shards.

    ``texts`` holds one text a query; ``preprocess`` adds ``chunk_texts`` with ``owners`` (the query
    of each chunk), ``weights`` and ``places``; ``encode`` replaces them by ``embeddings`` float32
    (n, d).
    """

    batch_id: str
    reply_to: str
    collection: str
    deadline: float  # epoch seconds
    queries: int
    params: Mapping[str, Any]  # SearchParams as wire data
    targets: tuple[Target, ...]  # the shards asked
    target: Target = NOBODY  # the one that this copy is for
    absent: int = 0  # shards not asked because nobody serves them
    min_seq: int = 0
    generation: int = 0
    stage: int = 0  # place in the plan's stages that handles it next
    modality: str = "text"
    texts: tuple[str, ...] = ()
    media: tuple[bytes | str, ...] = ()  # content, or blob, a query, when modality is not text
    chunk_texts: tuple[str, ...] = ()
    chunk_arrays: tuple[NDArray[Any], ...] = ()  # pixels, frames or samples a chunk
    owners: NDArray[np.int32] | None = None
    weights: NDArray[np.float32] | None = None
    places: NDArray[np.float32] | None = None  # (n, 4), the box of each chunk of a picture
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    sent_at: float = 0.0  # epoch seconds at which the last stage handed it on
    spans: tuple[tuple[str, float, float], ...] = ()  # (stage, seconds in queue, seconds of work)
    failures: tuple[tuple[int, str], ...] = ()  # (query, why it alone cannot be answered)
    wants: Literal["hits", "embeddings"] = "hits"

    def handed_on(self, name: str, started: float, /, **changes: Any) -> QueryBatch:
        """Return the batch as the next stage shall see it, with the time stage ``name`` took."""
        now = time.time()
        span = (name, max(0.0, started - self.sent_at), now - started)
        return replace(self, sent_at=now, spans=(*self.spans, span), **changes)

    def is_late(self) -> bool:
        """Tell whether nobody waits for the answer any more."""
        return time.time() >= self.deadline


@dataclass(frozen=True, slots=True)
class ShardPart(Message):
    """One shard's answer to a batch: its best documents for each query, in columns."""

    index: int
    shard: int
    error: str | None = None
    is_elsewhere: bool = False  # generation or layout have changed since: to be asked again
    counts: NDArray[np.int32] | None = None
    doc_ids: tuple[str, ...] = ()
    versions: NDArray[np.int64] | None = None
    scores: NDArray[np.float32] | None = None
    chunk_counts: NDArray[np.int32] | None = None
    chunk_positions: NDArray[np.int32] | None = None
    chunk_scores: NDArray[np.float32] | None = None
    chunk_spans: NDArray[np.float64] | None = None
    highlights: tuple[str, ...] = ()  # one a document, of full-text shards that were asked to
    extra: Mapping[str, Any] = field(default_factory=dict)
    queue_s: float = 0.0
    work_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ReduceOrder(Message):
    """What ``reduce`` must know beside the parts; small, for it is copied into every header."""

    batch_id: str
    reply_to: str
    collection: str
    queries: int
    params: Mapping[str, Any]
    shards_asked: int
    absent: int
    deadline: float
    sent_at: float
    spans: tuple[tuple[str, float, float], ...] = ()
    texts: tuple[str, ...] = ()
    failures: tuple[tuple[int, str], ...] = ()
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Reply(Message):
    """What an API process gets back for a batch: JSON hits a query, or why there are none."""

    batch_id: str
    hits: tuple[bytes, ...] = ()
    short: tuple[int, ...] = ()  # queries that need a refill: rows were dropped, shards have more
    failures: tuple[tuple[int, str], ...] = ()
    shards_total: int = 0
    shards_ok: int = 0
    errors: tuple[str, ...] = ()
    is_outdated: bool = False  # a shard that was asked is elsewhere by now: to be asked again
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    weights: NDArray[np.float32] | None = None  # of the embeddings' rows
    parts: tuple[Any, ...] = ()  # what each shard said to an inspection, or a media task brought
    spans: tuple[tuple[str, float, float], ...] = ()
    failed_stage: str | None = None
    failure: str | None = None
    status: int = 200


@dataclass(frozen=True, slots=True)
class Inspection(Message):
    """A question to the shards that is no search: count, facet, list or look up documents.

    ``arguments`` are those of the shard's method of the same name as ``what``.
    """

    batch_id: str
    reply_to: str
    what: Literal["count", "facet", "ids", "vectors_of"]
    arguments: Mapping[str, Any]
    min_seq: int
    deadline: float
    target: Target = NOBODY


@dataclass(frozen=True, slots=True)
class MediaTask(Message):
    """Something that the API has a worker do with a medium: bring it, or make a preview of it."""

    batch_id: str
    reply_to: str
    arguments: Mapping[str, Any]
    deadline: float  # epoch seconds

    def is_late(self) -> bool:
        """Tell whether nobody waits for the answer any more."""
        return time.time() >= self.deadline


@dataclass(frozen=True, slots=True)
class WordReport(Message):
    """What one shard of a full-text index tells the others: how rare words are in it.

    ``hashes`` uint32 (w,) are its words, ``counts`` int32 (w,) the documents that hold each;
    ``tokens`` int64 (2,) the words and the pairs of unspaced script in all of its documents.
    """

    documents: int
    tokens: NDArray[np.int64]
    hashes: NDArray[np.uint32]
    counts: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class DocumentItem(Message):
    """One document on its way from the ledger to the log.

    What is too large for a message lies in the store's scratch: ``pieces`` are runs of chunks,
    each with the names of its ``arrays`` and, once it is encoded, of its ``rows`` by vector, and
    the last stage that ``made`` them; ``aside`` is the name of all embeddings. A document whose
    ``cursor`` is not None is not wholly cut yet.
    """

    doc_id: str
    content_version: int
    modality: str
    content: Mapping[str, Any]
    accepted_at: float = 0.0  # epoch seconds; 0 where it is encoded again
    positions: NDArray[np.int32] | None = None
    weights: NDArray[np.float32] | None = None
    spans: NDArray[np.int32] | NDArray[np.float32] | None = None
    chunk_texts: tuple[str, ...] = ()
    tags: Mapping[str, Any] = field(default_factory=dict)  # what preprocessors found in it
    chunk_arrays: tuple[NDArray[Any], ...] = ()  # pixels, frames or samples a chunk
    pieces: tuple[Mapping[str, Any], ...] = ()
    kept: NDArray[np.bool_] | None = None  # which rows of the pieces are chunks; None: all
    cursor: Any = None  # where preprocessing goes on, or the name of its scratch
    embeddings: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    made: Mapping[str, int] = field(default_factory=dict)  # embeddings: the last stage at them
    aside: str | None = None
    error: str | None = None

    @property
    def is_cut(self) -> bool:
        """Tell whether all its chunks are known."""
        return self.positions is not None and self.cursor is None

    def has_rows(self, vector: str, stage: int = 0) -> bool:
        """Tell whether every chunk has its embedding of this name, of this stage or a later one.

        What the document brought, or was known of it, nobody has to make.
        """
        if self.aside is not None:
            return True
        if vector in self.embeddings:
            return self.made.get(vector, stage) >= stage
        return bool(self.pieces) and all(
            vector in piece["rows"] and piece["made"][vector] >= stage for piece in self.pieces
        )

    def with_vector(self, vector: NDArray[np.float32]) -> DocumentItem:
        """Return the document with a vector that it brings: one chunk, nothing left to encode."""
        text = self.content.get("text") or ""
        return replace(
            self,
            positions=np.zeros(1, np.int32),
            weights=np.ones(1, np.float32),
            spans=np.array([[0, len(text)]], np.int32),
            chunk_texts=(text,),
            embeddings={"": np.asarray(vector, np.float32).reshape(1, -1)},
        )


@dataclass(frozen=True, slots=True)
class DocumentBatch(Message):
    """Documents that travel together through the stages; a header of the window's chord."""

    batch_id: str
    collection: str
    generation: int
    group_id: str
    group_index: int
    group_size: int
    stage: int
    items: tuple[Mapping[str, Any], ...]  # DocumentItem as wire data
    arrays: str | None = None  # the scratch that holds those of all items, when they are large

    def documents(self) -> list[DocumentItem]:
        """Return the items."""
        return [DocumentItem.from_wire(item) for item in self.items]
