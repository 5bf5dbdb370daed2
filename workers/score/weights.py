"""Scores multiplied by what chunks, queries and documents weigh."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from workers.component import ChunkHits
from workers.score.formula import MODES, Formula, Mode, Values, column


class Product(Formula):
    """Makes one value of the score and all factors, by default their product; base of weights."""

    former_options: ClassVar[dict[str, str | None]] = {"score_mode": "mode"}

    def __init__(self, *, mode: Mode = "multiply") -> None:
        self.mode: Mode = mode

    @abstractmethod
    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return the factors by name."""

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the value made of all."""
        return np.asarray(MODES[self.mode](np.stack([values, *factors.values()])), np.float64)


class WeightedChunk(Product):
    """relevance * weight of the query's chunk * weight of the document's chunk.

    Args:
        mode: how they are made one: multiply, sum, max, min or avg.
    """

    aliases = ("WeightedChunkScoreFn",)

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return both weights."""
        return {
            "query chunk weight": column(hits.query_weights),
            "chunk weight": column(hits.chunk_weights),
        }


class WeightedChunkOffset(WeightedChunk):
    """As WeightedChunk, times how near the two chunks stand in their originals.

    Of parts of pictures 1 / (1 + distance), counted in cells of a grid of three by three over each
    picture; of positions in a row (sentences, frames) 1 / max(1, difference).

    Args:
        mode: how they are made one: multiply, sum, max, min or avg.
    """

    aliases = ("WeightedChunkOffsetScoreFn",)

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return both weights and the nearness."""
        return {**super().factors(hits), "nearness": nearness(hits)}


class WeightedDocument(Product):
    """score * weight of the document.

    Args:
        mode: how they are made one: multiply, sum, max, min or avg.
    """

    aliases = ("WeightedDocScoreFn", "WeightedDoc")
    scores = "documents"

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return the documents' weights."""
        return {"document weight": column(hits.document_weights)}


def nearness(hits: ChunkHits) -> Values:
    """Return how near each hit's two chunks stand, in (0, 1]; 1 for the same place."""
    if hits.query_cells is None or hits.chunk_cells is None:
        return 1.0 / np.maximum(1.0, np.abs(column(hits.query_chunks) - column(hits.positions)))
    difference = column(hits.query_cells) - column(hits.chunk_cells)
    return np.asarray(1.0 / (1.0 + np.sqrt(np.square(difference).sum(axis=1))))
