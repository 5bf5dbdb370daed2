"""From the parts of the shards to one ranking a query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any

import numpy as np

from compose.wire.messages import ShardPart


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a fused document stood in the ranking of one index."""

    index: str
    rank: int | None  # from 1; None: not among those that were fused
    score: float  # there
    weight: float  # of that index in the fusion
    share: float  # what the place gives to the fused score
    found: Candidate | None  # as that index found it


@dataclass(frozen=True, slots=True)
class Candidate:
    """One document that a shard found for one query, with its place in the shard's columns."""

    score: float
    doc_id: str
    version: int
    part: ShardPart
    row: int  # row among the part's documents
    origins: tuple[Origin, ...] = ()  # only of fused rankings
    rescored: Any = None  # what the flow's score functions made of its index, if there are any
    number: int = -1  # its number there
    former: Candidate | None = None  # as it stood before a reranker read it
    reranker: Any = None

    @property
    def order(self) -> tuple[float, str]:
        """Return the sort key: score descending, then id ascending."""
        return (-self.score, self.doc_id)


@dataclass(frozen=True, slots=True)
class ChunkColumns:
    """The chunks of a part's documents as plain lists: single numbers of an array are dear."""

    starts: Sequence[int]
    positions: Sequence[int]
    scores: Sequence[float]
    spans: Sequence[Sequence[float]] | None

    @classmethod
    def of(cls, part: ShardPart) -> ChunkColumns:
        """Return the chunks of ``part``."""
        if part.chunk_counts is None or part.chunk_positions is None or part.chunk_scores is None:
            return cls([0] * (len(part.doc_ids) + 1), (), (), None)
        return cls(
            [0, *np.cumsum(part.chunk_counts).tolist()],
            part.chunk_positions.tolist(),
            part.chunk_scores.tolist(),
            None if part.chunk_spans is None else part.chunk_spans.tolist(),
        )

    def range_of(self, row: int) -> range:
        """Return the rows of the chunks of document ``row``."""
        return range(self.starts[row], self.starts[row + 1])


@dataclass(frozen=True, slots=True)
class NewScores:
    """What scored a part's documents again, their numbers there, and their new scores.

    A document without a score (NaN) was not judged and is left out.
    """

    source: Any
    first: int  # number of the part's first document
    scores: Sequence[float]


def rank(
    parts: Sequence[ShardPart], queries: int, new: Sequence[NewScores] = ()
) -> list[list[Candidate]]:
    """Return each query's candidates of all shards of one index, best first, ids once each.

    A document found twice (two replicas' shards during a change of their number) keeps its newest
    version.

    Args:
        parts: of all shards.
        queries: how many.
        new: for each part the scores that take the place of the shard's own.
    """
    found: list[list[Candidate]] = [[] for _ in range(queries)]
    for place, part in enumerate(parts):
        for query, candidate in _candidates(part, new[place] if new else None):
            found[query].append(candidate)
    return [_unique(candidates) for candidates in found]


def _candidates(part: ShardPart, new: NewScores | None) -> Iterator[tuple[int, Candidate]]:
    if part.counts is None or part.scores is None or part.versions is None:
        return
    scores = part.scores.tolist() if new is None else new.scores
    source, first = (None, 0) if new is None else (new.source, new.first)
    versions, doc_ids = part.versions.tolist(), part.doc_ids
    row = 0
    for query, count in enumerate(part.counts.tolist()):
        for at in range(row, row + count):
            if not isnan(scores[at]):
                yield (
                    query,
                    Candidate(
                        scores[at], doc_ids[at], versions[at], part, at, (), source, first + at
                    ),
                )
        row += count


def _unique(candidates: list[Candidate]) -> list[Candidate]:
    newest: dict[str, Candidate] = {}
    for candidate in candidates:
        other = newest.get(candidate.doc_id)
        if other is None or other.version < candidate.version:
            newest[candidate.doc_id] = candidate
    return sorted(newest.values(), key=lambda candidate: candidate.order)


def by_index(parts: Sequence[ShardPart]) -> Mapping[int, list[ShardPart]]:
    """Return the parts that hold hits, by the index of the flow that they come from."""
    groups: dict[int, list[ShardPart]] = {}
    for part in parts:
        if part.error is None:
            groups.setdefault(part.index, []).append(part)
    return groups
