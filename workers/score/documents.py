"""From chunk hits to ranked documents: score functions, a reducer, and how it came about."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.component import ChunkHits, Explanation, Reducer, ScoreFunction
from workers.score.formula import grafted

#: What a document's row takes from its first chunk hit.
_COLUMNS = (
    *("queries", "query_chunks", "documents", "positions"),
    *("query_weights", "chunk_weights", "document_weights", "document_chunks"),
)


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Documents by falling score, query by query; equal scores by rising document number.

    Attributes:
        queries, documents: int (r,). scores: float64 (r,).
        places: int (r,), which group of hits each row is. groups: int (m,), the group of each hit.
    """

    queries: NDArray[np.int64]
    documents: NDArray[np.int64]
    scores: NDArray[np.float64]
    places: NDArray[np.int64]
    groups: NDArray[np.int64]

    def members(self) -> tuple[NDArray[np.int64], ...]:
        """Return for each row the rows of its chunk hits, in the order they came."""
        rows = np.argsort(self.groups, kind="stable")
        sizes = np.bincount(self.groups, minlength=len(self.places))
        split = np.split(rows, np.cumsum(sizes)[:-1])
        return tuple(split[place] for place in self.places)


@dataclass(frozen=True, slots=True)
class Scoring:
    """How a flow scores: chunk hits by ``chunk``, reduced, documents by ``document``.

    Both functions may be None: then the index's score stays, and the reduced one.
    """

    reducer: Reducer
    chunk: ScoreFunction | None = None
    document: ScoreFunction | None = None

    def rank(self, hits: ChunkHits) -> Ranking:
        """Score and rank the documents of all queries at once."""
        values = self._chunk_values(hits)
        first, groups = _groups(hits)
        table = self._documents(hits, values, first, groups)
        scores = table.values if self.document is None else self.document.score(table)
        order = np.lexsort((table.documents, -scores, table.queries))
        return Ranking(table.queries[order], table.documents[order], scores[order], order, groups)

    def explain(self, hits: ChunkHits, *, query: int, document: int) -> Explanation:
        """Return how one document's score came to be, down to the index's relevances.

        Raises:
            KeyError: no hit of that query belongs to the document.
        """
        values = self._chunk_values(hits)
        first, groups = _groups(hits)
        table = self._documents(hits, values, first, groups)
        places = np.flatnonzero((table.queries == query) & (table.documents == document))
        if not len(places):
            raise KeyError((query, document))
        place = int(places[0])
        operands = tuple(
            self._explain_chunk(hits, int(row)) for row in np.flatnonzero(groups == place)
        )
        name = type(self.reducer).names()[0]
        doc = (type(self.reducer).__doc__ or name).partition("\n")[0]
        reduced = Explanation(float(table.values[place]), name, doc, operands)
        if self.document is None:
            return reduced
        return grafted(self.document.explain(table, place), reduced)

    def _explain_chunk(self, hits: ChunkHits, row: int) -> Explanation:
        where = {"position": int(hits.positions[row]), "query_chunk": int(hits.query_chunks[row])}
        if self.chunk is None:
            leaf = Explanation(float(hits.values[row]), "relevance", "The index's own score.")
            return replace(leaf, params=where)
        tree = self.chunk.explain(hits, row)
        return replace(tree, params={**tree.params, **where})

    def _chunk_values(self, hits: ChunkHits) -> NDArray[np.float64]:
        values = hits.values if self.chunk is None else self.chunk.score(hits)
        return np.asarray(values, np.float64)

    def _documents(
        self,
        hits: ChunkHits,
        values: NDArray[np.float64],
        first: NDArray[np.int64],
        groups: NDArray[np.int64],
    ) -> ChunkHits:
        """Return the hits with one row a (query, document), of the reduced values."""
        taken: dict[str, Any] = {name: getattr(hits, name)[first] for name in _COLUMNS}
        return replace(
            hits,
            **taken,
            values=self.reducer.reduce(values, groups, len(first)),
            found=np.bincount(groups, minlength=len(first)),
            query_cells=None,
            chunk_cells=None,
        )


def _groups(hits: ChunkHits) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first hit of every (query, document), and each hit's group.

    Hits come document after document, part by part: a stable sort merges these few runs.
    """
    width = int(hits.documents.max()) + 1 if len(hits.documents) else 1
    keys = hits.queries.astype(np.int64) * width + hits.documents
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    begins = np.ones(len(keys), np.bool_)
    begins[1:] = ordered[1:] != ordered[:-1]
    groups = np.empty(len(keys), np.int64)
    groups[order] = np.cumsum(begins) - 1
    return order[begins], groups
