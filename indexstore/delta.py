"""The rows of the log newer than the last segment, in growing arrays, searched exactly."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.bm25 import TextSearcher
from indexstore.engines.registry import text_engine
from indexstore.filters import Condition, Facet, Mask, values_at
from indexstore.grow import Grow
from indexstore.model import IndexConfig, LogRow
from indexstore.part import Columns, Part, Tags
from indexstore.runs import Indices
from indexstore.scoring import run_sums
from indexstore.spans import Spans
from indexstore.tags import TagIndex
from indexstore.word_columns import WordCollector
from indexstore.words import NO_WORDS

TAG_BLOCK = 512  # documents whose tags are indexed together


@dataclass(frozen=True, slots=True)
class DeltaIds:
    """The ids of a delta as they were when it was frozen."""

    names: list[str]  # shared with the growing delta; only the first ``count`` are ours
    ordinals: dict[str, int]  # shared likewise: the newest ordinal of each id
    count: int

    def __len__(self) -> int:
        return self.count

    def at(self, ordinals: Indices) -> list[str]:
        """Return the ids at these ordinals."""
        names = self.names
        return [names[i] for i in ordinals.tolist()]

    def find(self, doc_ids: Sequence[str]) -> Indices:
        """Return the ordinal of each id, -1 where it is not here (yet)."""
        known = self.ordinals
        found = [known.get(doc_id, -1) for doc_id in doc_ids]
        return np.array([i if i < self.count else -1 for i in found], np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class DeltaTags:
    """The tags of a delta: indexed in blocks, but for the newest, which are looked at."""

    blocks: tuple[TagIndex, ...]
    newest: tuple[Tags, ...]

    def mask(self, condition: Condition) -> Mask:
        """Return which documents fulfil a condition on tags."""
        last = [condition.holds(values_at(tags, condition.key), "") for tags in self.newest]
        return np.concatenate(
            [*(block.mask(condition) for block in self.blocks), np.array(last, np.bool_)]
        )

    def facet(self, key: str, among: Mask) -> Facet:
        """Count, for every value of a key, the documents among some that have it."""
        counts: Facet = {}
        start = 0
        for block in (*self.blocks, TagIndex.of(self.newest)):
            for value, count in block.facet(key, among[start : start + block.count]).items():
                counts[value] = counts.get(value, 0) + count
            start += block.count
        return counts


class Delta:
    """Collects log rows; ``freeze`` gives the part that searches read. One writer at a time."""

    def __init__(self, config: IndexConfig, *, dim: int, by_document: bool) -> None:
        self.dim, self.metric, self.by_document = dim, config.metric, by_document
        self._engine = text_engine(config).grow() if config.kind == "text" else None
        self._searcher: TextSearcher | None = None
        self._words = WordCollector()
        self._texts: list[str] = []
        self._names: list[str] = []
        self._tags: list[Tags] = []
        self._blocks: list[TagIndex] = []  # of TAG_BLOCK documents each
        self._patched: dict[int, Tags] = {}
        self._ordinals: dict[str, int] = {}
        self._starts, self._slots = Grow(np.int64), Grow(np.int16)
        self._versions, self._weights = Grow(np.int64), Grow(np.float32)
        self._live, self._seqs = Grow(np.bool_), Grow(np.int64)
        self._positions, self._chunk_weights = Grow(np.int32), Grow(np.float32)
        self._spans = Spans()
        self._vectors = Grow(np.float32, dim)
        # Only from the first document on that is more than one chunk of weight 1.
        self._units: Grow | None = None
        self._starts.extend(0, 1)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def rows(self) -> int:
        """How many chunks are held, dead ones included."""
        return len(self._vectors)

    def upsert(self, row: LogRow, vectors: NDArray[np.float32]) -> None:
        """Add a document with its chunks' vectors, in place of what was there by its id."""
        chunks = row.chunks
        if chunks is None:  # pragma: no cover - an upsert has chunks
            return
        self.drop(row.doc_id)
        n = len(vectors)
        self._ordinals[row.doc_id] = len(self._names)
        self._names.append(row.doc_id)
        self._tags.append(row.tags)
        self._slots.extend(row.slot, 1)
        self._versions.extend(row.version, 1)
        self._weights.extend(row.weight, 1)
        self._seqs.extend(row.seq, 1)
        self._live.extend(True, 1)  # noqa: FBT003 - a value, no flag
        self._positions.extend(chunks.positions, n)
        self._chunk_weights.extend(chunks.weights, n)
        self._spans.extend(chunks.spans, n)
        if self._engine is not None:
            texts = chunks.texts or ()
            self._engine.add("\n".join(texts))
            self._words.add([self._engine.analysed(text) for text in texts])
            self._texts.extend(texts)
        self._add_unit(vectors, chunks.weights)
        self._vectors.extend(vectors, n)
        self._starts.extend(len(self._vectors), 1)

    def _add_unit(self, vectors: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
        if not self.by_document or self._engine is not None:
            return
        if self._units is None:
            if len(vectors) == 1 and weights[0] == 1.0:
                return
            self._units = Grow(np.float32, self.dim)
            self._units.extend(self._vectors.view(), len(self._vectors))
        self._units.extend(run_sums(vectors, np.zeros(1, np.int64), weights), 1)

    def patch(self, row: LogRow) -> bool:
        """Replace version, weight and tags of a live document; False when it is not here."""
        ordinal = self._ordinals.get(row.doc_id)
        if ordinal is None:
            return False
        # Snapshots hold copies of these columns, so they may be written in place.
        self._versions.view()[ordinal] = row.version
        self._weights.view()[ordinal] = row.weight
        self._patched[ordinal] = row.tags
        return True

    def drop(self, doc_id: str) -> None:
        """Make a document dead, if it is here."""
        ordinal = self._ordinals.pop(doc_id, None)
        if ordinal is not None:
            self._live.view()[ordinal] = False
            if self._engine is not None:
                self._words.forget(ordinal)

    def freeze(self) -> Part:
        """Return what was collected so far; later changes do not touch it."""
        count = len(self)
        weights, live = self._weights.view().copy(), self._live.view().copy()
        while len(self._blocks) * TAG_BLOCK + TAG_BLOCK <= count:
            start = len(self._blocks) * TAG_BLOCK
            self._blocks.append(TagIndex.of(self._tags[start : start + TAG_BLOCK]))
        sealed = len(self._blocks) * TAG_BLOCK
        columns = Columns(
            DeltaIds(self._names, self._ordinals, count),
            self._slots.view(),
            self._starts.view(),
            self._positions.view(),
            self._chunk_weights.view(),
            self._spans.view(),
            self._vectors.view(),
            None if self._engine is None else self._texts,
        )
        if self._engine is not None and (self._searcher is None or self._searcher.count < count):
            self._searcher = self._engine.commit()
        return Part(
            name="delta",
            columns=columns,
            metric=self.metric,
            by_document=self.by_document,
            units=self._vectors.view() if self._units is None else self._units.view(),
            engine=None,
            versions=self._versions.view().copy(),
            weights=weights,
            live=live,
            live_count=int(np.count_nonzero(live)),
            is_uniform=bool((weights == 1.0).all()),
            tags=DeltaTags(tuple(self._blocks), tuple(self._tags[sealed:count])),
            text=self._searcher,
            words=None if self._engine is None else self._words.words(),
            counted=NO_WORDS if self._engine is None else self._words.counted(),
            patched=dict(self._patched),
        )
