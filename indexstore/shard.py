"""A shard as a search worker serves it: segments, delta, and a log read to its end, over and over.

It owns nothing: two shards of the same place are replicas of each other, without knowing it.
Searches run on immutable snapshots; reading the log and swapping segments never block them.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from indexstore.answer import Merged, hits_of
from indexstore.batch import Batch
from indexstore.filter_parser import parse_filter
from indexstore.filters import Facet, Filter, Scalar
from indexstore.model import Float32
from indexstore.nearest import Found, Scope, best_documents
from indexstore.pairs import pairs_of
from indexstore.part import Part
from indexstore.place import Place
from indexstore.query import ShardHits, ShardQuery
from indexstore.reader import Reader
from indexstore.scoring import default_reduction
from indexstore.text_search import text_finder
from indexstore.words import WordTable

Finder = Callable[[Part, Scope], Found]

WAIT_S = 0.004  # between two looks at the log while somebody waits for a row


@dataclass(frozen=True, slots=True)
class ShardStats:
    """What a shard serves and how far it has read, for announcements and status pages."""

    applied_seq: int
    documents: int
    chunks: int
    delta_rows: int
    segments: int
    deleted_ratio: float
    generation: int
    epoch: int
    covered_seq: int  # the last sequence number that the segments cover
    worst_hole: float  # share of dead documents in the segment that has most of them
    refused: int  # documents whose vectors the index cannot hold
    corrupt: dict[str, str] = field(default_factory=dict)  # segments not served, and why


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What searches see: swapped whole."""

    parts: tuple[Part, ...]
    applied_seq: int
    dim: int | None
    delta_rows: int
    segments: int


class Shard:
    """One shard of one index; every method may be called by any thread at any time."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.reduction = default_reduction(place.config)
        self._changing = threading.RLock()
        self._reader = Reader(place)
        self._snapshot = Snapshot((), -1, place.config.dim, 0, 0)
        self._elsewhere: tuple[WordTable, ...] = ()

    @classmethod
    def open(cls, place: Place) -> Self:
        """Load the segments and read the log to its end."""
        shard = cls(place)
        shard.catch_up()
        return shard

    @property
    def applied_seq(self) -> int:
        """How far the log has been read."""
        return self._snapshot.applied_seq

    def catch_up(self, min_seq: int | None = None, deadline: float | None = None) -> int:
        """Read the log to its end, or until ``min_seq``; return how far it has been read.

        Args:
            min_seq: wait for this sequence number; None looks once.
            deadline: stop waiting at this time (seconds since the epoch).
        """
        while min_seq is None or self.applied_seq < min_seq:
            if self._changing.acquire(timeout=_left_s(deadline)):
                try:
                    if min_seq is None or self.applied_seq < min_seq:
                        self._show(is_changed=self._reader.advance())
                finally:
                    self._changing.release()
            is_late = deadline is not None and time.time() >= deadline
            if min_seq is None or self.applied_seq >= min_seq or is_late:
                break
            time.sleep(WAIT_S)
        return self.applied_seq

    def look_ahead(self) -> None:
        """Look whether the manifest lists other segments, and open them beside what is served.

        To be called now and then by one thread; ``catch_up`` then takes them over in no time.
        """
        self._reader.look_ahead()

    def search(self, query: ShardQuery) -> ShardHits:
        """Answer a batch of queries from what has been read, at least up to ``query.min_seq``.

        When the deadline passes before that, the answer's ``applied_seq`` tells.

        Raises:
            DimensionError: the queries are not as wide as the index's vectors.
            InvalidVectorError: a query holds what cannot be compared.
        """
        if query.min_seq > self.applied_seq:
            self.catch_up(query.min_seq, query.deadline)
        snapshot = self._snapshot
        if snapshot.dim is None or not query.queries:
            return ShardHits.none(query.queries, applied_seq=snapshot.applied_seq)
        chosen = None if query.filter is None else parse_filter(query.filter)
        batch = self._batch(query, snapshot.dim)
        parts = snapshot.parts
        find = self._finder(query, batch, parts)
        found = [_found(part, query, chosen, find) for part in parts]
        merged = Merged(parts, found, query)
        hits = hits_of(parts, merged, batch, query, applied_seq=snapshot.applied_seq)
        if not query.pairs or self.place.config.kind == "text":
            return hits
        return replace(hits, pairs=pairs_of(parts, merged, batch))

    def _finder(self, query: ShardQuery, batch: Batch, parts: Sequence[Part]) -> Finder:
        """Return what finds the best documents of a part."""
        if self.place.config.kind == "text":
            return text_finder(parts, query.texts, self._elsewhere, min_should=query.min_should)
        return lambda part, scope: best_documents(part, batch, scope)

    def _batch(self, query: ShardQuery, dim: int) -> Batch:
        if self.place.config.kind == "text":
            return Batch.of_texts(query)
        metric, reduction = self.place.config.metric, query.score or self.reduction
        return Batch.of(query, metric=metric, dim=dim, reduction=reduction)

    def vectors_of(self, doc_ids: list[str]) -> dict[str, tuple[Float32, Float32]]:
        """Return the chunks' vectors and weights of the documents that are here, by id."""
        vectors = {}
        for part in self._snapshot.parts:
            at = part.columns.ids.find(doc_ids)
            for doc_id, ordinal in zip(doc_ids, at.tolist(), strict=True):
                if ordinal >= 0 and part.live[ordinal]:
                    rows = part.chunk_rows(np.array([ordinal]))[0]
                    vectors[doc_id] = (part.columns.vectors[rows], part.columns.weights[rows])
        return vectors

    def count(self, chosen: Mapping[str, Any] | None = None) -> int:
        """Return how many documents pass a filter; all without one."""
        parts = self._snapshot.parts
        if chosen is None:
            return sum(part.live_count for part in parts)
        parsed = parse_filter(chosen)
        return sum(int(np.count_nonzero(part.passing(parsed).documents)) for part in parts)

    def facet(self, key: str, chosen: Mapping[str, Any] | None = None) -> list[tuple[Scalar, int]]:
        """Count, for every value of a tag, the documents that pass a filter and have it.

        The most frequent value comes first.
        """
        parsed = None if chosen is None else parse_filter(chosen)
        counts: Facet = {}
        for part in self._snapshot.parts:
            for value, count in part.facet(key, parsed).items():
                counts[value] = counts.get(value, 0) + count
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0][0], item[0][1]))
        return [(_plain(value), count) for (_, value), count in ordered]

    def ids(
        self, chosen: Mapping[str, Any], *, limit: int | None = None, after: str = ""
    ) -> list[str]:
        """Return the ids that pass a filter, ascending, those after ``after`` only."""
        parsed = parse_filter(chosen)
        found: list[str] = []
        for part in self._snapshot.parts:
            found += part.columns.ids.at(np.flatnonzero(part.passing(parsed).documents))
        return sorted(doc_id for doc_id in found if doc_id > after)[:limit]

    def words(self) -> WordTable:
        """Return in how many of its documents each word stands."""
        return WordTable.merged([part.words_known.table() for part in self._snapshot.parts])

    def learn_words(self, elsewhere: Sequence[WordTable]) -> None:
        """Take over what the other shards count, so that all judge words by the same measure."""
        self._elsewhere = tuple(elsewhere)

    def parts(self) -> tuple[Part, ...]:
        """Return what is searched now, segment by segment, the delta last."""
        return self._snapshot.parts

    def stats(self) -> ShardStats:
        """Return what is served now."""
        snapshot = self._snapshot
        contents = self._reader.contents
        # Searches are not shown segments that are all dead; here they count the most.
        segments = contents.parts if contents else ()
        held = sum(part.count for part in {*segments, *snapshot.parts})
        live = sum(part.live_count for part in snapshot.parts)
        return ShardStats(
            applied_seq=snapshot.applied_seq,
            documents=live,
            chunks=sum(len(part.columns.positions) for part in snapshot.parts),
            delta_rows=snapshot.delta_rows,
            segments=snapshot.segments,
            deleted_ratio=1 - live / held if held else 0.0,
            generation=self.place.generation,
            epoch=self._reader.epoch,
            covered_seq=contents.covered_seq if contents else 0,
            worst_hole=max(map(_hole, segments), default=0.0),
            refused=contents.refused if contents else 0,
            corrupt=dict(self._reader.corrupt),
        )

    def close(self) -> None:
        """Let go of the segments; searches under way finish on theirs."""
        with self._changing:
            self._snapshot = Snapshot((), self.applied_seq, self._snapshot.dim, 0, 0)
            self._reader.close()

    def _show(self, *, is_changed: bool) -> None:
        """Let searches see what was read."""
        contents = self._reader.contents
        if contents is None or not (is_changed or contents.cursor > self.applied_seq):
            return
        self._snapshot = Snapshot(
            contents.freeze() if is_changed else self._snapshot.parts,
            contents.cursor,
            contents.dim,
            contents.delta_rows,
            len(contents.segments),
        )


def _left_s(deadline: float | None) -> float:
    """Return the seconds until a moment; -1, which waits for ever, for none."""
    return -1 if deadline is None else max(0.0, deadline - time.time())


def _found(part: Part, query: ShardQuery, chosen: Filter | None, find: Finder) -> Found:
    """Return the best documents of one part, without those never to return."""
    at = part.columns.ids.find(query.exclude)
    passing = None if chosen is None else part.passing(chosen)
    want = query.limit + query.spare + int((at >= 0).sum())
    return find(part, Scope(want, passing, query.exact, query.ef)).without(at)


def _plain(value: Scalar) -> Scalar:
    """Return a value as every shard shows it: 1.0 and 1 are the same number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _hole(part: Part) -> float:
    return 1 - part.live_count / part.count if part.count else 0.0
