"""What BM25 counts: how often words stand in documents, and in how many documents they stand.

tantivy knows the documents of one index file. A shard has several (its segments, its delta), and a
collection several shards; were each to judge by its own counts, a document's score would depend on
where it lies. So the counts are kept beside the index file, small enough to add up and to hand on,
and candidates are scored by those of the whole collection. Words are told by 32 bits of them.

Source: BM25 as tantivy and Lucene have it: Robertson, Zaragoza, "The probabilistic relevance
framework: BM25 and beyond" (2009), with k1 = 1.2 and b = 0.75.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from indexstore.grow import Grow
from indexstore.ids import mapped
from indexstore.runs import Indices, rows_of

K1, B = 1.2, 0.75
FIELDS = ("words", "pairs")  # words, and pairs of characters of unspaced script
MOST_TIMES = 65_535  # a word is counted in one document

Hashes = NDArray[np.uint32]
Scores = NDArray[np.float64]


def hashed(field: int, terms: Iterable[str]) -> list[int]:
    """Return 32 bits of each term of a field, the same on every machine."""
    return [crc32(term.encode("utf-8", "surrogatepass"), field) for term in terms]


class Counted(Protocol):
    """Counts over some documents, which can be added to those of others."""

    @property
    def documents(self) -> int:
        """How many documents there are."""
        ...

    @property
    def tokens(self) -> Indices:
        """How many words and how many pairs they have in all."""
        ...

    def holding(self, hashes: Hashes) -> Indices:
        """Return in how many documents each term stands."""
        ...

    def table(self) -> "WordTable":
        """Return all of it as plain columns."""
        ...


@dataclass(frozen=True, eq=False)
class WordTable:
    """Counts as columns: what is kept in a segment, and what shards tell each other."""

    documents: int
    tokens: Indices  # (2,)
    hashes: Hashes  # ascending
    counts: Indices

    @classmethod
    def merged(cls, tables: Sequence["WordTable"]) -> Self:
        """Add up."""
        hashes = np.concatenate([table.hashes for table in tables] or [np.empty(0, np.uint32)])
        counts = np.concatenate([table.counts for table in tables] or [np.empty(0, np.int64)])
        tokens = sum((table.tokens for table in tables), np.zeros(2, np.int64))
        distinct, places = np.unique(hashes, return_inverse=True)
        sums = np.bincount(places, counts, minlength=len(distinct)).astype(np.int64)
        return cls(sum(table.documents for table in tables), tokens, distinct, sums)

    def holding(self, hashes: Hashes) -> Indices:
        """Return in how many documents each term stands."""
        if not len(self.hashes):
            return np.zeros(len(hashes), np.int64)
        at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
        return np.where(self.hashes[at] == hashes, self.counts[at], 0)

    def table(self) -> "WordTable":
        """Return itself."""
        return self


NO_WORDS = WordTable.merged(())


@dataclass(frozen=True, eq=False)
class Less:
    """The counts of a segment without its dead documents."""

    whole: WordTable
    dead: WordTable

    @property
    def documents(self) -> int:
        """How many documents are left."""
        return self.whole.documents - self.dead.documents

    @property
    def tokens(self) -> Indices:
        """How many words and pairs they have in all."""
        return self.whole.tokens - self.dead.tokens

    def holding(self, hashes: Hashes) -> Indices:
        """Return in how many documents each term stands."""
        return self.whole.holding(hashes) - self.dead.holding(hashes)

    def table(self) -> WordTable:
        """Return all of it as plain columns."""
        counts = self.whole.counts - self.dead.holding(self.whole.hashes)
        left = counts > 0
        return WordTable(self.documents, self.tokens, self.whole.hashes[left], counts[left])


@dataclass(frozen=True, eq=False)
class GrowingCounts:
    """The counts of a delta's live documents; later documents may count already."""

    documents: int
    tokens: Indices
    standing: Counter[int]

    def holding(self, hashes: Hashes) -> Indices:
        """Return in how many documents each term stands."""
        standing = self.standing
        return np.array([standing[term] for term in hashes.tolist()], np.int64)

    def table(self) -> WordTable:
        """Return all of it as plain columns."""
        pairs = list(self.standing.copy().items())
        columns = np.array(pairs, np.int64).reshape(-1, 2)
        columns = columns[columns[:, 1] > 0]
        columns = columns[np.argsort(columns[:, 0])]
        hashes = columns[:, 0].astype(np.uint32)
        return WordTable(self.documents, self.tokens, hashes, columns[:, 1])


@dataclass(frozen=True, eq=False)
class Statistics:
    """The counts of the whole collection, as far as they are known here."""

    parts: Sequence[Counted]

    @cached_property
    def documents(self) -> int:
        """How many documents there are."""
        return sum(part.documents for part in self.parts)

    @cached_property
    def average(self) -> Scores:
        """How many words, and how many pairs, a document has."""
        tokens = sum((part.tokens for part in self.parts), np.zeros(2, np.int64))
        return np.asarray(tokens / max(1, self.documents))

    def rarity(self, hashes: Hashes) -> Scores:
        """Return the weight of each term: its inverse document frequency."""
        counts = sum((part.holding(hashes) for part in self.parts), np.zeros(len(hashes), np.int64))
        return rarity(counts, self.documents)


def rarity(counts: Indices, documents: int) -> Scores:
    """Return the inverse document frequency of terms that stand in so many of the documents."""
    missing = np.maximum(documents - counts, 0)
    return np.asarray(np.log1p((missing + 0.5) / (counts + 0.5)))


@dataclass(frozen=True, eq=False)
class Words:
    """The terms of every document, document after document."""

    starts: Indices  # (m + 1,)
    hashes: Hashes  # (t,)
    times: NDArray[np.uint16]  # (t,)
    lengths: NDArray[np.int32]  # (m, 2) words and pairs of each document

    def table_of(self, documents: Indices) -> WordTable:
        """Count over some documents."""
        rows = rows_of(self.starts, documents)[0]
        distinct, counts = np.unique(self.hashes[rows], return_counts=True)
        tokens = self.lengths[documents].sum(axis=0, dtype=np.int64)
        return WordTable(len(documents), tokens, distinct, counts)

    def scores(
        self,
        documents: Indices,
        terms: tuple[Hashes, Indices],
        rarities: Scores,
        average: Scores,
    ) -> Scores:
        """Score some documents for a query.

        Args:
            documents: int64 (m,).
            terms: the query's terms (h,), each once, and the field of each.
            rarities: the weight of each term, (h,).
            average: how many words and pairs a document has, (2,).
        """
        hashes, fields = terms
        order = np.argsort(hashes)
        rows, begins = rows_of(self.starts, documents)
        owners = np.repeat(np.arange(len(documents)), np.diff(np.append(begins, len(rows))))
        found = self.hashes[rows]
        at = order[np.minimum(np.searchsorted(hashes, found, sorter=order), len(hashes) - 1)]
        hit = hashes[at] == found
        owners, at, times = owners[hit], at[hit], self.times[rows[hit]].astype(np.float64)
        lengths = quantised(self.lengths[documents[owners], fields[at]])
        usual = np.maximum(average[fields[at]], 1e-9)
        damped = times / (times + K1 * (1.0 - B + B * lengths / usual))
        worth = rarities[at] * (1.0 + K1) * damped
        return np.asarray(np.bincount(owners, worth, minlength=len(documents)), np.float64)

    def write(self, folder: Path) -> None:
        """Write the columns, and the counts over all documents, into a segment's folder."""
        table = self.table_of(np.arange(len(self.lengths)))
        for name, column in (*self._columns(), ("known", table.hashes), ("holding", table.counts)):
            np.save(folder / f"word_{name}.npy", column)

    def _columns(self) -> Iterable[tuple[str, NDArray[Any]]]:
        return [(name, getattr(self, name)) for name in ("starts", "hashes", "times", "lengths")]

    @classmethod
    def map(cls, folder: Path) -> tuple[Self, WordTable]:
        """Map the columns of a segment's folder, and the counts over all documents."""
        names = ("starts", "hashes", "times", "lengths", "known", "holding")
        columns = {name: mapped(folder / f"word_{name}.npy") for name in names}
        known, holding = columns.pop("known"), columns.pop("holding")
        tokens = columns["lengths"].sum(axis=0, dtype=np.int64)
        return cls(**columns), WordTable(len(columns["lengths"]), tokens, known, holding)


class WordCollector:
    """Collects the terms of documents in the order of their ordinals."""

    def __init__(self) -> None:
        self._starts, self._hashes = Grow(np.int64), Grow(np.uint32)
        self._times, self._lengths = Grow(np.uint16), Grow(np.int32, len(FIELDS))
        self._starts.extend(0, 1)
        self._standing: Counter[int] = Counter()
        self._documents, self._tokens = 0, np.zeros(len(FIELDS), np.int64)

    def add(self, words: Sequence[str], pairs: Sequence[str]) -> None:
        """Add the next document's words and pairs."""
        times = Counter(hashed(0, words))
        times.update(hashed(1, pairs))
        capped = [min(count, MOST_TIMES) for count in times.values()]
        self._hashes.extend(np.fromiter(times, np.uint32, len(times)), len(times))
        self._times.extend(np.array(capped, np.uint16), len(times))
        self._lengths.extend((len(words), len(pairs)), 1)
        self._starts.extend(len(self._hashes), 1)
        self._standing.update(times.keys())
        self._documents, self._tokens = self._documents + 1, self._tokens + self._lengths.view()[-1]

    def forget(self, ordinal: int) -> None:
        """Count a document no more."""
        first, end = self._starts.view()[ordinal : ordinal + 2].tolist()
        self._standing.subtract(self._hashes.view()[first:end].tolist())
        self._documents -= 1
        self._tokens = self._tokens - self._lengths.view()[ordinal]

    def words(self) -> Words:
        """Return what was collected so far."""
        views = (self._starts, self._hashes, self._times, self._lengths)
        return Words(*(each.view() for each in views))

    def counted(self) -> GrowingCounts:
        """Return the counts over what was added and not forgotten."""
        return GrowingCounts(self._documents, self._tokens, self._standing)


def quantised(lengths: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return lengths as tantivy keeps them, in one byte: exact up to 40, then ever coarser."""
    return _STEPS[np.searchsorted(_STEPS, lengths, side="right") - 1]


def _steps() -> NDArray[np.int32]:
    steps, width = list(range(41)), 2
    while steps[-1] + width < 2**31:
        steps += [steps[-1] + width * (i + 1) for i in range(8)]
        width *= 2
    return np.array([step for step in steps if step < 2**31], np.int32)


_STEPS = _steps()
