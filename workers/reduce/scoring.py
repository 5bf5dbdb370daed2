"""The flow's own score functions, over the chunk hits of all candidates of a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from compose.plan import Plan
from compose.wire.messages import ShardPart
from workers.component import ChunkHits, Component, Reducer, ScoreFunction
from workers.reduce.merge import Candidate, NewScores, rank
from workers.registry import assembled
from workers.score.combine import ScorePipeline
from workers.score.documents import Scoring
from workers.score.weights import WeightedChunk, WeightedDocument

T = TypeVar("T", bound=Component)

_GRID = 3  # GNES's: cells a side of a picture


def scoring_of(plan: Plan, index: int) -> Scoring:
    """Return how a flow scores the hits of one of its indexes.

    What the flow leaves out is the house's own: relevance times both chunks' weights, reduced,
    times the document's weight.

    Raises:
        ComponentError: a score function cannot be made; its text says which and why.
    """
    named = plan.indexes[index].functions
    given = [*_functions(named.get("score_fn")), *_functions(named.get("chunk"))]
    documents = [one for one in given if one.scores == "documents"]
    documents += _functions(named.get("document"))
    chunks = [one for one in given if one.scores == "chunks"] or [WeightedChunk()]
    chunks = [*_functions(named.get("normalize_fn")), *chunks]
    reducer = named.get("reduce") or plan.indexes[index].options.get("score", "sum")
    return Scoring(
        _ready(assembled(reducer, kind=Reducer)),
        chunk=_one(chunks),
        document=_one(documents or [WeightedDocument()]),
    )


def _functions(given: Any) -> list[ScoreFunction]:
    """Return the score functions that YAML names: one, a list, or none."""
    if not given:
        return []
    if isinstance(given, list | tuple):
        return [one for part in given for one in _functions(part)]
    return [_ready(assembled(given, kind=ScoreFunction))]


def _ready(component: T) -> T:
    component.setup()
    return component


def _one(functions: Sequence[ScoreFunction]) -> ScoreFunction:
    return functions[0] if len(functions) == 1 else ScorePipeline(components=functions)


@dataclass(frozen=True)
class Rescored:
    """The candidates of one index, scored by the flow's functions.

    A document is numbered by its place among those of all parts, one after the other.
    """

    parts: Sequence[ShardPart]
    scoring: Scoring

    def rankings(self, queries: int) -> list[list[Candidate]]:
        """Return each query's candidates with their new scores, best first, ids once each."""
        scored = self.scoring.rank(self.hits)
        values = np.full(len(self._queries), np.nan)
        values[scored.documents] = scored.scores
        listed = values.tolist()
        ends = [*self._starts[1:], len(listed)]
        new = [
            NewScores(self, start, listed[start:end])
            for start, end in zip(self._starts, ends, strict=True)
        ]
        return rank(self.parts, queries, new)

    def explain(self, number: int) -> dict[str, Any]:
        """Return how a document's score came to be, as a tree."""
        query = int(self._queries[number])
        return self.scoring.explain(self.hits, query=query, document=number).to_dict()

    @cached_property
    def hits(self) -> ChunkHits:
        """The pairs of all parts as score functions read them."""
        numbers = self._joined("hits", shift=True)
        per_hit = {name: self._joined(name) for name in ("document_weights", "document_chunks")}
        return ChunkHits(
            values=self._joined("values").astype(np.float64),
            queries=self._queries[numbers],
            query_chunks=self._joined("query_chunks").astype(np.int64),
            documents=numbers,
            positions=self._joined("positions").astype(np.int64),
            query_weights=self._joined("query_weights").astype(np.float64),
            chunk_weights=self._joined("chunk_weights").astype(np.float64),
            document_weights=per_hit["document_weights"][numbers].astype(np.float64),
            document_chunks=per_hit["document_chunks"][numbers].astype(np.int64),
            query_cells=cells_of(self._joined("query_boxes"), self._queries[numbers]),
            chunk_cells=cells_of(self._joined("boxes"), numbers),
            total_documents=sum(int(part.extra["documents"]) for part in self.parts),
            total_chunks=sum(int(part.extra["chunks"]) for part in self.parts),
        )

    @cached_property
    def _starts(self) -> list[int]:
        """The number of the first document of each part."""
        lengths = [len(part.doc_ids) for part in self.parts]
        return [0, *np.cumsum(lengths).tolist()][: len(lengths)]

    @cached_property
    def _queries(self) -> NDArray[np.int64]:
        """The query of each document."""
        counts = [np.asarray(part.counts) for part in self.parts]
        numbers = [np.repeat(np.arange(len(count)), count) for count in counts]
        return np.concatenate([np.empty(0, np.int64), *numbers]).astype(np.int64)

    def _joined(self, name: str, *, shift: bool = False) -> NDArray[Any]:
        """Return a column over all parts; with ``shift`` places become numbers of documents."""
        columns = [np.asarray(part.extra["pairs"][name]) for part in self.parts]
        if shift:
            columns = [
                column.astype(np.int64) + start
                for column, start in zip(columns, self._starts, strict=True)
            ]
        return np.concatenate(columns)


def cells_of(boxes: NDArray[Any], owners: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """Return column and row of the middle of each box, in three by three over its picture.

    How large a picture is, its boxes tell together; what has no place is taken for the middle.

    Args:
        boxes: (m, 4), left, top, right and bottom; (0, 4) where nothing stands in a plane.
        owners: (m,), the picture of each box.
    """
    if not len(boxes):
        return None
    extents = np.zeros((int(owners.max()) + 1, 2))
    np.maximum.at(extents, owners, boxes[:, 2:])
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    cells = np.floor(_GRID * middles / np.maximum(extents[owners], 1e-9))
    return np.where(boxes[:, 2:3] < 0, _GRID // 2, np.clip(cells, 0, _GRID - 1))
