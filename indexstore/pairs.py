"""The hits of a search taken apart: every pair of a query's and a document's chunk, unweighted.

Whoever scores in another way than the shard does needs them; they are made only when asked for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexstore.answer import Merged
from indexstore.batch import Batch
from indexstore.model import Float32, Int32
from indexstore.part import Part
from indexstore.runs import Indices
from indexstore.scoring import pair_relevance
from indexstore.spans import WIDE, widened


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Columns over the pairs of all hits, p rows, and over the hits, h rows.

    Attributes:
        hits: int (p,), the place of the pair's document among the hits.
        query_chunks, positions: int (p,), which chunk of the query, which of the document.
        values: float32 (p,), the metric's own score of the two.
        query_weights, chunk_weights: float32 (p,).
        query_boxes, boxes: float32 (p, 4), where both stand in their pictures, -1 where nowhere;
            (0, 4) where the queries are no pictures.
        document_weights: float32 (h,). document_chunks: int (h,), how many chunks it has.
    """

    hits: Int32
    query_chunks: Int32
    positions: Int32
    values: Float32
    query_weights: Float32
    chunk_weights: Float32
    query_boxes: Float32
    boxes: Float32
    document_weights: Float32
    document_chunks: Int32


#: The columns over pairs, in their order.
_OF_PAIRS = tuple(one.name for one in fields(Pairs) if not one.name.startswith("document_"))


def pairs_of(parts: Sequence[Part], merged: Merged, batch: Batch) -> Pairs:
    """Return all pairs of the hits, hit after hit."""
    document_weights = np.ones(len(merged.ids), np.float32)
    document_chunks = np.zeros(len(merged.ids), np.int32)
    pieces: list[tuple[NDArray[Any], ...]] = []
    for number, part in enumerate(parts):
        hits = np.flatnonzero(merged.owner == number)
        if not len(hits):
            continue
        documents = merged.documents[hits]
        chunks, begins = part.chunk_rows(documents)
        lengths = np.diff(np.append(begins, len(chunks)))
        document_weights[hits] = part.weights[documents]
        document_chunks[hits] = lengths
        owners = np.repeat(hits, lengths)
        pieces.append(_columns(part, batch, owners, chunks, merged.queries[owners]))
    if not pieces:
        return _none(document_weights, document_chunks)
    whole = [np.concatenate(column) for column in zip(*pieces, strict=True)]
    order = np.argsort(whole[0], kind="stable")
    named = zip(_OF_PAIRS, whole, strict=True)
    columns: dict[str, Any] = {name: one[order] if len(one) else one for name, one in named}
    return Pairs(**columns, document_weights=document_weights, document_chunks=document_chunks)


def _columns(
    part: Part,
    batch: Batch,
    owners: NDArray[np.int64],
    chunks: NDArray[np.int64],
    queries: NDArray[np.int64],
) -> tuple[NDArray[Any], ...]:
    """Return the columns of one part's pairs: each chunk with each row of its query."""
    rows, begins = batch.rows_of(queries)
    depth = np.diff(np.append(begins, len(rows)))
    at = np.repeat(np.arange(len(chunks)), depth)
    chosen = chunks[at]
    values = pair_relevance(batch.metric, batch.rows, rows, part.columns.vectors, chosen)
    return (
        owners[at].astype(np.int32),
        (rows - batch.starts[queries[at]]).astype(np.int32),
        part.columns.positions[chosen].astype(np.int32),
        values.astype(np.float32),
        batch.weights[rows].astype(np.float32),
        part.columns.weights[chosen].astype(np.float32),
        *_boxes(part, batch, rows, chosen),
    )


def _boxes(part: Part, batch: Batch, rows: Indices, chosen: Indices) -> tuple[Float32, Float32]:
    """Return the boxes of both chunks of each pair, if the queries have any."""
    if batch.places is None:
        return np.empty((0, WIDE), np.float32), np.empty((0, WIDE), np.float32)
    boxes = widened(part.columns.spans[chosen]).astype(np.float32)
    return batch.places[rows], boxes


def _none(document_weights: Float32, document_chunks: Int32) -> Pairs:
    none, numbers = np.empty(0, np.float32), np.empty(0, np.int32)
    boxes = np.empty((0, WIDE), np.float32)
    return Pairs(
        *(numbers, numbers, numbers), *(none, none, none), *(boxes, boxes),
        document_weights=document_weights, document_chunks=document_chunks,
    )  # fmt: skip
