"""In how many documents words stand: counts that add up over segments, delta and shards.

tantivy knows the documents of one index file. A shard has several (its segments, its delta), and a
collection several shards; were each to judge by its own counts, a document's score would depend on
where it lies. So the counts are kept beside the index file, small enough to add up and to hand on,
and candidates are scored by those of the whole collection. Words are told by 32 bits of them.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, Self
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from indexstore.runs import Indices

FIELDS = ("words", "pairs")  # words, and pairs of characters of unspaced script

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
