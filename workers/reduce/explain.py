"""Why a hit has its score: the tree of operands, whose root is the score.

A node is ``{value, name, doc, operands?}`` with what else is worth knowing beside them (GNES's
explained scores, with the arithmetic spelled out).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from workers.reduce.fusion import Fusion
from workers.reduce.merge import Candidate, Origin

Tree = dict[str, Any]

_REDUCTIONS: Mapping[str, tuple[Callable[[Sequence[float]], float], str]] = {
    "sum": (math.fsum, "the sum over the document's chunks"),
    "avg": (fmean, "the mean over the document's chunks"),
    "max": (max, "the best of the document's chunks"),
    "min": (min, "the worst of the document's chunks"),
    "multiply": (math.prod, "the product over the document's chunks"),
}
_FUSIONS: Mapping[str, tuple[str, str]] = {
    "rrf": (
        "reciprocal rank fusion",
        "the sum over the indexes (Cormack, Clarke, Buettcher, SIGIR 2009)",
    ),
    "weighted": ("weighted fusion", "the sum over the indexes of their scaled scores"),
}


def explain_document(
    score: float, chunks: Sequence[Mapping[str, Any]], *, weight: float, reduction: str
) -> Tree:
    """Explain a document's score by its chunks and its weight.

    Args:
        score: the hit's score.
        chunks: all its chunks, as the hit shows them.
        weight: the document's.
        reduction: how the chunks' scores become one.
    """
    reduce, doc = _REDUCTIONS[reduction]
    leaves = [_chunk(chunk) for chunk in chunks]
    reduced = reduce([leaf["value"] for leaf in leaves]) if leaves else 0.0
    return {
        "value": score,
        "name": "document",
        "doc": "the reduced score of the chunks times the document's weight",
        "operands": [
            {"value": reduced, "name": reduction, "doc": doc, "operands": leaves},
            {"value": weight, "name": "weight", "doc": "the document's weight"},
        ],
    }


def explain_words(score: float) -> Tree:
    """Explain the score of a full-text index."""
    return {
        "value": score,
        "name": "BM25",
        "doc": "how rare and how frequent the query's words are in the document, by its length",
    }


def explain_fusion(candidate: Candidate, fusion: Fusion, trees: Sequence[Tree]) -> Tree:
    """Explain a fused score by the document's place in each index's ranking.

    Args:
        candidate: the fused document.
        fusion: how it was fused.
        trees: why it has its score in each index that found it, in the order of its origins.
    """
    own = iter(trees)
    leaves = [
        _place(origin, fusion, [] if origin.found is None else [next(own)])
        for origin in candidate.origins
    ]
    name, doc = _FUSIONS[fusion.method]
    return {"value": candidate.score, "name": name, "doc": doc, "operands": leaves}


def _place(origin: Origin, fusion: Fusion, operands: Sequence[Tree]) -> Tree:
    if origin.rank is None:
        doc = "not among the documents that were fused: it counts as what comes right after them"
    elif fusion.method == "weighted":
        doc = "weight times its score there, scaled by the greatest and the least"
    else:
        doc = f"weight / ({fusion.rank_constant} + rank)"
    return {
        "value": origin.share,
        "name": f"place in {origin.index}",
        "doc": doc,
        "rank": origin.rank,
        "weight": origin.weight,
        "operands": list(operands),
    }


def _chunk(chunk: Mapping[str, Any]) -> Tree:
    return {
        "value": chunk["score"],
        "name": "chunk",
        "doc": "relevance times the chunk's weight, summed over the query's chunks by weight",
        "position": chunk["position"],
        "span": chunk.get("span"),
    }
