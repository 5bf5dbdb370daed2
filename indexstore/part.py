"""A part of a shard's snapshot: one segment or the delta, as a search sees it. Immutable."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.base import Engine, RowMask
from indexstore.engines.bm25 import TextSearcher
from indexstore.filters import Condition, Facet, Filter, HasId, Mask, exact, passes, values_at
from indexstore.lists import Lists
from indexstore.model import Metric
from indexstore.remembered import Remembered
from indexstore.runs import Indices, rows_of
from indexstore.scoring import Reduction, is_linear, reduce_runs
from indexstore.word_columns import Words
from indexstore.words import NO_WORDS, Counted, Less, WordTable

Tags = Mapping[str, Any]

FILTER_BYTES = 64 << 20  # of masks of filters that a part keeps


class Ids(Protocol):
    """Ids by ordinal and ordinals by id."""

    def __len__(self) -> int: ...

    def at(self, ordinals: Indices) -> list[str]:
        """Return the ids at these ordinals."""
        ...

    def find(self, doc_ids: Sequence[str]) -> Indices:
        """Return the ordinal of each id, -1 where it is not here."""
        ...


class TagSource(Protocol):
    """The tags of a part's documents, as they were when the part was made."""

    def mask(self, condition: Condition) -> Mask:
        """Return which documents fulfil a condition on tags."""
        ...

    def facet(self, key: str, among: Mask) -> Facet:
        """Count, for every value of a key, the documents among some that have it."""
        ...


@dataclass(frozen=True, eq=False)
class Passing:
    """The documents that may come, live and let pass by a filter, and their units."""

    documents: Mask
    units: RowMask
    lists: Lists | None  # the neighbourhoods of all units

    @property
    def size_bytes(self) -> int:
        """Return what it takes once everything of it was asked for."""
        masks = len(self.documents) + len(self.units.rows) * 9 // 8
        return masks + 8 * self.units.count

    @cached_property
    def chosen(self) -> Indices:
        """The ordinals of the documents."""
        return np.flatnonzero(self.documents)

    @cached_property
    def in_lists(self) -> Indices | None:
        """How many units of each neighbourhood may come."""
        return None if self.lists is None else self.lists.counts(self.units.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """What never changes of m documents and their n chunks."""

    ids: Ids
    slots: NDArray[np.int16]  # (m,)
    starts: Indices  # (m + 1,) the first chunk of each document
    positions: NDArray[np.int32]  # (n,)
    weights: NDArray[np.float32]  # (n,)
    spans: NDArray[Any]  # (n, 2), or (n, 4) once there is a box
    vectors: NDArray[np.float32]  # (n, d)
    texts: Sequence[str] | None = None  # (n,) where the index is one of full text


def _no_filters() -> Remembered[Passing]:
    return Remembered(FILTER_BYTES)


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Documents of one segment or of the delta, with all that later log rows did to them.

    A unit is what the engine finds: a document (its one vector is the weighted sum of its
    chunks, see ``scoring.is_linear``) or a chunk.
    """

    name: str
    columns: Columns
    metric: Metric
    by_document: bool  # units are documents
    units: NDArray[np.float32]  # (u, d), what the engine was built from
    engine: Engine | None  # None: there is only the scan
    versions: NDArray[np.int64]  # (m,)
    weights: NDArray[np.float32]  # (m,) of documents
    live: NDArray[np.bool_]  # (m,) false: deleted, superseded, or another shard's
    live_count: int
    is_uniform: bool  # every document weighs 1
    tags: TagSource
    text: TextSearcher | None = None
    lists: Lists | None = None  # of units; None where there are few
    words: Words | None = None  # of documents, where the index is one of full text
    counted: Counted = NO_WORDS  # over the documents as they were when the part was made
    patched: Mapping[int, Tags] = field(default_factory=dict)  # newer tags by ordinal
    _memo: dict[str, Any] = field(default_factory=dict, repr=False)
    _filtered: Remembered[Passing] = field(default_factory=_no_filters, repr=False)

    @property
    def count(self) -> int:
        """How many documents there are, dead ones included."""
        return len(self.live)

    @property
    def is_simple(self) -> bool:
        """Tell whether every document has one chunk only."""
        return len(self.columns.positions) == self.count

    def finds_documents(self, reduction: Reduction) -> bool:
        """Tell whether the score is one inner product with a document's own vector."""
        return self.by_document and is_linear(self.metric, reduction)

    def living(self) -> Passing | None:
        """Return the live documents; None means all."""
        if "living" not in self._memo:
            whole = self.live_count == self.count
            self._memo["living"] = None if whole else self._passing(self.live)
        living: Passing | None = self._memo["living"]
        return living

    def passing(self, chosen: Filter) -> Passing:
        """Return the live documents that pass a filter; remembered for the next query."""
        # By its text: 1 and true are equal, but not the same filter.
        return self._filtered.get(repr(chosen), lambda: self._pass(chosen))

    def _pass(self, chosen: Filter) -> Passing:
        documents = chosen.mask(self._fulfilling, self.count)
        at = np.fromiter(self.patched, np.int64, len(self.patched))
        tagged = zip(self.patched.values(), self.columns.ids.at(at), strict=True)
        documents[at] = [passes(chosen, tags, doc_id) for tags, doc_id in tagged]
        documents &= self.live
        return self._passing(documents)

    @property
    def words_known(self) -> Counted:
        """The counts of words over the live documents."""
        if "words" not in self._memo:
            self._memo["words"] = self._words_known()
        known: Counted = self._memo["words"]
        return known

    def _words_known(self) -> Counted:
        # A delta counts its live documents as it grows; a segment all that it was built of.
        if self.words is None or not isinstance(self.counted, WordTable):
            return self.counted
        dead = np.flatnonzero(~self.live)
        return Less(self.counted, self.words.table_of(dead)) if len(dead) else self.counted

    def _fulfilling(self, condition: Condition) -> Mask:
        if not isinstance(condition, HasId):
            return self.tags.mask(condition)
        chosen = np.zeros(self.count, np.bool_)
        at = self.columns.ids.find(condition.doc_ids)
        chosen[at[at >= 0]] = True
        return chosen

    def facet(self, key: str, chosen: Filter | None) -> Facet:
        """Count, for every value of a tag, the live documents that pass a filter and have it."""
        among = self.live if chosen is None else self.passing(chosen).documents
        mine = among.copy()
        at = np.fromiter(self.patched, np.int64, len(self.patched))
        mine[at] = False
        counts = self.tags.facet(key, mine)
        for ordinal, tags in self.patched.items():
            if among[ordinal]:
                for value in dict.fromkeys(map(exact, values_at(tags, key))):
                    counts[value] = counts.get(value, 0) + 1
        return counts

    def _passing(self, documents: Mask) -> Passing:
        units = documents
        if not self.by_document:
            units = np.repeat(documents, np.diff(self.columns.starts))
        return Passing(documents, RowMask.of(units), self.lists)

    def unit_documents(self, units: Indices) -> Indices:
        """Return the document of each unit; -1 stays -1."""
        if self.by_document or self.is_simple:
            return units
        if "owners" not in self._memo:
            lengths = np.diff(self.columns.starts)
            self._memo["owners"] = np.append(np.repeat(np.arange(self.count), lengths), -1)
        return np.asarray(self._memo["owners"][units])

    def factors(self, reduction: Reduction) -> NDArray[np.float64] | None:
        """Return what multiplies each document's inner product; None where it is 1 for all."""
        if reduction != "avg" or self.is_simple:
            return None if self.is_uniform else self.weights.astype(np.float64)
        return self.weights / np.diff(self.columns.starts)

    def ceilings(self, reduction: Reduction) -> tuple[float, float]:
        """Return how far, at least and at most, a document's score can be above a unit's.

        A document none of whose units is nearer than ``t`` scores at most ``t`` times the
        second number, or times the first where ``t`` is negative.
        """
        key = f"ceilings:{reduction}:{self.finds_documents(reduction)}"
        if key not in self._memo:
            self._memo[key] = self._ceilings(reduction)
        bounds: tuple[float, float] = self._memo[key]
        return bounds

    def _ceilings(self, reduction: Reduction) -> tuple[float, float]:
        if self.finds_documents(reduction):
            factors = self.factors(reduction)
            if factors is None:
                return 1.0, 1.0
            chosen = factors[self.live]
            return (float(chosen.min()), float(chosen.max())) if len(chosen) else (0.0, 0.0)
        starts, weights = self.columns.starts[:-1], self.columns.weights
        if reduction == "sum":
            low = high = reduce_runs(weights.astype(np.float64), starts, "sum") * self.weights
        else:
            low = reduce_runs(weights, starts, "min") * self.weights
            high = reduce_runs(weights, starts, "max") * self.weights
        low, high = low[self.live], high[self.live]
        return (float(low.min()), float(high.max())) if len(low) else (0.0, 0.0)

    def without(self, ordinals: Indices) -> "Part":
        """Return the part with these documents dead."""
        if not len(ordinals) or not self.live[ordinals].any():
            return self
        live = self.live.copy()
        live[ordinals] = False
        return self._changed(live=live, live_count=int(np.count_nonzero(live)))

    def patched_with(self, changes: Mapping[int, tuple[int, float, Tags]]) -> "Part":
        """Return the part with (version, weight, tags) of some documents replaced."""
        if not changes:
            return self
        at = np.fromiter(changes, np.int64, len(changes))
        versions, weights = self.versions.copy(), self.weights.copy()
        versions[at] = [change[0] for change in changes.values()]
        weights[at] = [change[1] for change in changes.values()]
        tags = {**self.patched, **{i: change[2] for i, change in changes.items()}}
        return self._changed(
            versions=versions,
            weights=weights,
            is_uniform=bool((weights == 1.0).all()),
            patched=tags,
        )

    def _changed(self, **changes: Any) -> "Part":
        return replace(self, **changes, _memo={}, _filtered=_no_filters())

    def chunk_rows(self, documents: Indices) -> tuple[Indices, Indices]:
        """Return the chunk rows of some documents, and where each document's begin."""
        return rows_of(self.columns.starts, documents)
