"""The second stage of a search: the best texts are read again, together with the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from compose.plan import Plan
from indexstore.model import LiveDocument
from workers.component import Reranker
from workers.reduce.merge import Candidate

#: Texts that are read a query, unless more are shown; a cross-encoder takes some ms for each.
TEXTS = 32


@dataclass(frozen=True, slots=True)
class SecondStage:
    """The rerankers of a flow, one after the other, over the best live documents."""

    rerankers: Sequence[Reranker]
    texts: int

    @classmethod
    def of(cls, plan: Plan, rerankers: Sequence[Reranker]) -> SecondStage:
        """Return the second stage of a flow."""
        return cls(rerankers, int(plan.score.get("rerank", TEXTS)))

    def rerank(
        self,
        ranking: Sequence[Candidate],
        query: str,
        live: Mapping[str, LiveDocument | None],
        shown: int,
    ) -> list[Candidate]:
        """Return the best candidates in their new order; those that were not read are left out.

        A query without a text, or documents without one, are left as they are.

        Args:
            ranking: one query's candidates, best first.
            query: its text.
            live: the ledger's word on each candidate.
            shown: how many hits the answer may show; as many are read at least.
        """
        if not query or not self.rerankers:
            return list(ranking)
        read: list[tuple[Candidate, str]] = []
        for candidate in ranking:
            document = live.get(candidate.doc_id)
            text = document.content.get("text") if document is not None else None
            if isinstance(text, str) and text:
                read.append((candidate, text))
            if len(read) >= max(self.texts, shown):
                break
        if not read:
            return list(ranking)
        best = [candidate for candidate, _ in read]
        texts = {candidate.doc_id: text for candidate, text in read}
        for reranker in self.rerankers:
            best = _again(reranker, query, best, texts)
        return best


def _again(
    reranker: Reranker, query: str, best: Sequence[Candidate], texts: Mapping[str, str]
) -> list[Candidate]:
    scores = reranker.rerank(query, [texts[candidate.doc_id] for candidate in best]).tolist()
    again = [
        replace(candidate, score=score, former=candidate, reranker=reranker)
        for candidate, score in zip(best, scores, strict=True)
    ]
    return sorted(again, key=lambda candidate: candidate.order)


def explain_reranking(candidate: Candidate, tree: Mapping[str, Any]) -> dict[str, Any]:
    """Explain a score that a reranker gave; the tree of the stage before stands below it."""
    kind = type(candidate.reranker)
    doc = (kind.__doc__ or "").partition("\n")[0]
    operands = [{**tree, "doc": f"{tree['doc']} (by which the texts to read were chosen)"}]
    return {"value": candidate.score, "name": kind.__name__, "doc": doc, "operands": operands}
