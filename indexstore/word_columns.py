"""How often words stand in every chunk of a part: what BM25 scores documents by, exactly.

Columns only, which a segment maps from its folder.

Source: BM25 as tantivy and Lucene have it: Robertson, Zaragoza, "The probabilistic relevance
framework: BM25 and beyond" (2009), with k1 = 1.2 and b = 0.75.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.grow import Grow
from indexstore.ids import mapped
from indexstore.runs import Indices, rows_of
from indexstore.words import FIELDS, GrowingCounts, Hashes, Scores, WordTable, hashed

K1, B = 1.2, 0.75
MOST_TIMES = 65_535  # a word is counted in one chunk

Analysed = tuple[Sequence[str], Sequence[str]]  # the words and the pairs of a chunk


@dataclass(frozen=True)
class Words:
    """The terms of m documents, chunk after chunk of n."""

    documents: Indices  # (m + 1,) the first chunk of each
    starts: Indices  # (n + 1,) the first term of each chunk
    hashes: Hashes  # (t,) each once a chunk
    times: NDArray[np.uint16]  # (t,)
    lengths: NDArray[np.int32]  # (n, 2) words and pairs of each chunk

    @cached_property
    def tokens(self) -> Indices:
        """How many words and pairs all documents have."""
        return np.asarray(self.lengths.sum(axis=0, dtype=np.int64))

    def table_of(self, documents: Indices) -> WordTable:
        """Count over some documents."""
        chunks, begins = rows_of(self.documents, documents)
        rows, owners = self._rows(chunks, _owners(begins, len(chunks)))
        each = np.unique(owners << 32 | self.hashes[rows])
        distinct, counts = np.unique((each & 0xFFFFFFFF).astype(np.uint32), return_counts=True)
        tokens = self.lengths[chunks].sum(axis=0, dtype=np.int64)
        return WordTable(len(documents), tokens, distinct, counts)

    def scores(
        self, documents: Indices, terms: tuple[Hashes, Indices], rarities: Scores, average: Scores
    ) -> Scores:
        """Score some documents for a query.

        Args:
            documents: int64 (m,).
            terms: the query's terms (h,), each once, and the field of each.
            rarities: the weight of each term, (h,).
            average: how many words and pairs a document has, (2,).
        """
        hashes, fields = terms
        count = len(documents)
        scores = np.zeros(count)
        if not count:
            return scores
        chunks, begins = rows_of(self.documents, documents)
        rows, owners = self._rows(chunks, _owners(begins, len(chunks)))
        hit, at = _found(self.hashes[rows], hashes)
        cells = at * count + owners[hit]
        times = np.bincount(cells, self.times[rows[hit]], minlength=len(hashes) * count)
        lengths = quantised(np.add.reduceat(self.lengths[chunks], begins, axis=0))
        usual = np.maximum(average, 1e-9)
        dampings = K1 * (1.0 - B + B * lengths.T / usual[:, None])
        # Term by term: so a document's sum has the same bits whatever else is scored with it.
        for often, field, rare in zip(
            times.reshape(len(hashes), count), fields.tolist(), rarities.tolist(), strict=True
        ):
            scores += rare * (1.0 + K1) * (often / (often + dampings[field]))
        return scores

    def shared(self, chunks: Indices, hashes: Hashes) -> Indices:
        """Return how many of a query's terms stand in each of some chunks."""
        rows, owners = self._rows(chunks, np.arange(len(chunks)))
        hit, _ = _found(self.hashes[rows], hashes)
        return np.bincount(owners[hit], minlength=len(chunks))

    def _rows(self, chunks: Indices, owners: Indices) -> tuple[Indices, Indices]:
        """Return the rows of all terms of some chunks, and the owner of each."""
        rows, begins = rows_of(self.starts, chunks)
        return rows, owners[_owners(begins, len(rows))]

    def _columns(self) -> Iterable[tuple[str, NDArray[Any]]]:
        return [(name, getattr(self, name)) for name in ("starts", "hashes", "times", "lengths")]

    def write(self, folder: Path, table: WordTable) -> None:
        """Write the columns, and the counts over all documents, into a segment's folder."""
        for name, column in (*self._columns(), ("known", table.hashes), ("holding", table.counts)):
            np.save(folder / f"word_{name}.npy", column)

    @classmethod
    def map(cls, folder: Path, documents: Indices) -> tuple[Self, WordTable]:
        """Map the columns of a segment's folder, and the counts over all documents.

        Args:     documents: the first chunk of each, and the end of the last.
        """
        names = ("starts", "hashes", "times", "lengths", "known", "holding")
        columns = {name: mapped(folder / f"word_{name}.npy") for name in names}
        known, holding = columns.pop("known"), columns.pop("holding")
        words = cls(documents, **columns)
        return words, WordTable(len(documents) - 1, words.tokens, known, holding)


def _owners(begins: Indices, count: int) -> Indices:
    """Return which run each of some rows belongs to."""
    return np.repeat(np.arange(len(begins)), np.diff(np.append(begins, count)))


def _found(terms: Hashes, hashes: Hashes) -> tuple[Indices, Indices]:
    """Return which terms are among some few, and the place of each there."""
    order = np.argsort(hashes)
    at = order[np.minimum(np.searchsorted(hashes, terms, sorter=order), len(hashes) - 1)]
    hit = np.flatnonzero(hashes[at] == terms)
    return hit, at[hit]


class WordCollector:
    """Collects the terms of documents in the order of their ordinals."""

    def __init__(self) -> None:
        self._documents, self._starts = Grow(np.int64), Grow(np.int64)
        self._hashes, self._times = Grow(np.uint32), Grow(np.uint16)
        self._lengths = Grow(np.int32, len(FIELDS))
        for starts in (self._documents, self._starts):
            starts.extend(0, 1)
        self._standing: Counter[int] = Counter()
        self._live, self._tokens = 0, np.zeros(len(FIELDS), np.int64)

    def add(self, chunks: Sequence[Analysed]) -> None:
        """Add the next document's words and pairs, chunk by chunk."""
        for words, pairs in chunks:
            times = Counter(hashed(0, words))
            times.update(hashed(1, pairs))
            capped = [min(count, MOST_TIMES) for count in times.values()]
            self._hashes.extend(np.fromiter(times, np.uint32, len(times)), len(times))
            self._times.extend(np.array(capped, np.uint16), len(times))
            self._lengths.extend((len(words), len(pairs)), 1)
            self._starts.extend(len(self._hashes), 1)
        self._documents.extend(len(self._lengths), 1)
        self._count(len(self._documents) - 2, 1)

    def forget(self, ordinal: int) -> None:
        """Count a document no more."""
        self._count(ordinal, -1)

    def _count(self, ordinal: int, step: int) -> None:
        first, end = self._documents.view()[ordinal : ordinal + 2].tolist()
        terms = slice(*self._starts.view()[[first, end]].tolist())
        distinct = dict.fromkeys(self._hashes.view()[terms].tolist(), step)
        self._standing.update(distinct)
        self._live += step
        self._tokens = self._tokens + step * self._lengths.view()[first:end].sum(axis=0)

    def words(self) -> Words:
        """Return what was collected so far."""
        views = (self._documents, self._starts, self._hashes, self._times, self._lengths)
        return Words(*(each.view() for each in views))

    def counted(self) -> GrowingCounts:
        """Return the counts over what was added and not forgotten."""
        return GrowingCounts(self._live, self._tokens, self._standing)


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
