"""Several rankings of one query, one an index, fused into one: by ranks or by weighted scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, Self

from compose.wire.fusing import WINDOW, windows
from workers.reduce.merge import Candidate, Origin

RANK_CONSTANT = 60  # of the paper: damps the first places so that agreement counts

Ranking = Sequence[Candidate]
Rankings = Mapping[str, Ranking]


@dataclass(frozen=True, slots=True)
class Fusion:
    """How a flow fuses: its ``score: {fusion: rrf | weighted, weights: {index: weight}}``.

    What a ranking does not hold within the window counts as if it came right after it. That moves
    no document that both hold, and lets a later window continue where the one before has ended.

    Source: rrf: Cormack, Clarke, Buettcher, "Reciprocal rank fusion" (SIGIR 2009); weighted:
    scores scaled to [0, 1] by their least and greatest, as in Bruch, Gai, Ingber, "An analysis of
    fusion functions for hybrid retrieval" (TOIS 2023).
    """

    method: str = "rrf"
    weights: Mapping[str, float] = field(default_factory=dict)
    rank_constant: int = RANK_CONSTANT

    @classmethod
    def of(cls, score: Mapping[str, Any], shares: Mapping[str, float] | None = None) -> Self:
        """Return what the flow says; ``shares``: how much each index counts in this query."""
        weights = score.get("weights")
        given = weights if isinstance(weights, Mapping) else {}  # a list is of score functions
        return cls(
            score.get("fusion") or "rrf",
            {
                **given,
                **{name: share * given.get(name, 1.0) for name, share in (shares or {}).items()},
            },
            int(score.get("rank_constant") or RANK_CONSTANT),
        )

    def fuse(self, rankings: Rankings, wanted: int) -> list[Candidate]:
        """Return one ranking of at least ``wanted`` documents where there are as many.

        Args:
            rankings: by index; as deep as the last of ``windows(wanted)``, or whole.
            wanted: documents that the page needs, the offset included.
        """
        lists = [
            _List.of(name, ranking, self.weights.get(name, 1.0), self._scale(ranking))
            for name, ranking in rankings.items()
        ]
        fused: dict[str, Candidate] = {}
        for window in windows(wanted):
            fresh = {
                found.doc_id: None
                for ranking in rankings.values()
                for found in ranking[:window]
                if found.doc_id not in fused
            }
            joined = [_joined([one.origin(doc_id, window) for one in lists]) for doc_id in fresh]
            fused |= {found.doc_id: found for found in sorted(joined, key=lambda one: one.order)}
        return list(fused.values())

    def _scale(self, ranking: Ranking) -> Scale:
        """Return what each place of a ranking gives to the fused score."""
        if self.method == "weighted":
            return _Scores.of(ranking)
        return _Ranks(self.rank_constant)


class Scale(Protocol):
    """What the places of one ranking are worth."""

    def present(self, rank: int) -> float:
        """Return the worth of a rank, from 1."""
        ...

    def absent(self, window: int) -> float:
        """Return the worth of not being among the first ``window``; never above theirs."""
        ...


@dataclass(frozen=True, slots=True)
class _Ranks:
    constant: int

    def present(self, rank: int) -> float:
        return 1.0 / (self.constant + rank)

    def absent(self, window: int) -> float:
        return self.present(window + 1)


@dataclass(frozen=True, slots=True)
class _Scores:
    """Scores scaled to [0, 1] over the first window, and so below 0 beyond it."""

    scores: Sequence[float]
    low: float
    high: float

    @classmethod
    def of(cls, ranking: Ranking) -> Self:
        scores = [found.score for found in ranking]
        # A ranking that ends within the window is whole: what it does not know scores 0 with it.
        ends = scores[:WINDOW] if len(scores) >= WINDOW else [*scores, 0.0]
        return cls(scores, min(ends), max(ends))

    def present(self, rank: int) -> float:
        if self.low == self.high:
            return 1.0 if rank <= WINDOW else 0.0
        return (self.scores[rank - 1] - self.low) / (self.high - self.low)

    def absent(self, window: int) -> float:
        if window == WINDOW or len(self.scores) < WINDOW:
            return 0.0
        return self.present(min(window, len(self.scores)))


@dataclass(frozen=True, slots=True)
class _List:
    """One ranking with what is looked up in it."""

    name: str
    ranking: Ranking
    ranks: Mapping[str, int]
    weight: float
    scale: Scale

    @classmethod
    def of(cls, name: str, ranking: Ranking, weight: float, scale: Scale) -> Self:
        ranks = {found.doc_id: rank for rank, found in enumerate(ranking, start=1)}
        return cls(name, ranking, ranks, weight, scale)

    def origin(self, doc_id: str, window: int) -> Origin:
        rank = self.ranks.get(doc_id, window + 1)
        if rank > window:
            share = self.weight * self.scale.absent(window)
            return Origin(self.name, None, 0.0, self.weight, share, None)
        found = self.ranking[rank - 1]
        share = self.weight * self.scale.present(rank)
        return Origin(self.name, rank, found.score, self.weight, share, found)


def _joined(origins: Sequence[Origin]) -> Candidate:
    """Return the document as the newest of its shards shows it, with its fused score."""
    found = [origin.found for origin in origins if origin.found is not None]
    newest = max(found, key=lambda candidate: candidate.version)
    score = sum(origin.share for origin in origins)
    return replace(newest, score=score, origins=tuple(origins))
