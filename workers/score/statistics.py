"""Scores that count how many chunks of a document were found: coordination, TF-IDF, BM25."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from workers.component import ChunkHits
from workers.score.formula import Formula, Values, column
from workers.score.weights import Product

#: Keys up to so many times the number of rows are counted as they are; a sort is dearer.
_SPARSE = 64


class CoordChunk(Product):
    """relevance * share of the document's chunks that the query's chunk found.

    Args:
        mode: how they are made one: multiply, sum, max, min or avg.
    """

    aliases = ("CoordChunkScoreFn",)

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return the share."""
        counts = counted(hits, np.ones(len(hits.values), bool))
        return {"share of chunks found": counts / np.maximum(column(hits.document_chunks), 1.0)}


class CoordDocument(Product):
    """score * share of the document's chunks that were found; 1 for a document without chunks.

    Args:
        mode: how they are made one: multiply, sum, max, min or avg.
    """

    aliases = ("CoordDocScoreFn", "CoordDoc")
    scores = "documents"

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return the share."""
        chunks = column(hits.document_chunks)
        found = np.ones(len(chunks)) if hits.found is None else column(hits.found)
        return {"share of chunks found": np.where(chunks > 0, found / np.maximum(chunks, 1.0), 1.0)}


class _Thresholded(Formula):
    """What TF-IDF and BM25 share: counts of hits that are relevant enough."""

    threshold: float

    def counts(self, hits: ChunkHits) -> tuple[Values, Values]:
        """Return tf and df of every hit, for the query's chunk that found it.

        tf: its document's hits of at least ``threshold``; df: those of all documents.
        """
        good = hits.values >= self.threshold
        return counted(hits, good), _sums(good, hits.queries, hits.query_chunks)


class TFIDF(_Thresholded):
    """relevance * tf * idf^2, idf = log10(chunks of the collection / (df + 1)).

    tf and df count hits, of the document and of all, that the same chunk of the query found.

    Args:
        threshold: least relevance of a hit that counts.
    """

    aliases = ("TFIDFChunkScoreFn",)

    def __init__(self, *, threshold: float = 0.8) -> None:
        self.threshold = threshold

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return tf and idf."""
        frequencies, spread = self.counts(hits)
        total = max(hits.total_chunks, 1)
        return {"tf": frequencies, "idf": np.maximum(np.log10(total / (spread + 1.0)), 0.0)}

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return s * tf * idf^2."""
        return np.asarray(values * factors["tf"] * np.square(factors["idf"]))


class BM25(_Thresholded):
    """relevance * BM25 of the hits: idf * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length)).

    idf = log10(1 + (N - df + 0.5) / (df + 0.5)), N the chunks of the collection; length is the
    document's number of chunks over the mean.

    Args:
        threshold: least relevance of a hit that counts.
        k1: how soon further hits stop counting.
        b: how much long documents are held back.

    Source:
        Robertson, Zaragoza, The probabilistic relevance framework (2009).
    """

    aliases = ("BM25ChunkScoreFn",)

    def __init__(self, *, threshold: float = 0.8, k1: float = 1.2, b: float = 0.75) -> None:
        self.threshold, self.k1, self.b = threshold, k1, b

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return tf, idf and relative length."""
        frequencies, spread = self.counts(hits)
        mean = max(hits.total_chunks, 1) / max(hits.total_documents, 1)
        rest = np.maximum(hits.total_chunks - spread, 0.0)
        return {
            "tf": frequencies,
            "idf": np.log10(1.0 + (rest + 0.5) / (spread + 0.5)),
            "relative length": column(hits.document_chunks) / mean,
        }

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return s * bm25."""
        frequencies = factors["tf"]
        held = self.k1 * (1.0 - self.b + self.b * factors["relative length"])
        gain = frequencies * (self.k1 + 1.0) / np.maximum(frequencies + held, 1e-12)
        return np.asarray(values * factors["idf"] * gain)


def counted(hits: ChunkHits, good: NDArray[np.bool_]) -> Values:
    """Return, a hit, the good hits of its document by the same chunk of the same query."""
    return _sums(good, hits.documents, hits.queries, hits.query_chunks)


def _sums(weights: NDArray[np.bool_], *columns: NDArray[np.integer]) -> Values:
    """Return, a row, the sum of the weights of all rows that are equal to it in some columns."""
    if not len(weights):
        return np.zeros(0)
    keys = np.zeros(len(weights), np.int64)
    for values in columns:
        keys = keys * (int(values.max()) + 1) + values
    if int(keys.max()) > _SPARSE * len(keys):  # too few of them to keep a sum for every number
        _, keys = np.unique(keys, return_inverse=True)
    return np.asarray(np.bincount(keys, weights=weights)[keys], np.float64)
