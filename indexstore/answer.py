"""From what the parts of a shard found to its answer: merged, named, and with chunks."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from indexstore.batch import Batch
from indexstore.highlighting import Highlighter
from indexstore.model import Float32
from indexstore.nearest import Found
from indexstore.part import Part
from indexstore.query import ShardHits, ShardQuery
from indexstore.runs import Indices
from indexstore.scoring import pair_relevance, reduce_runs
from indexstore.spans import joined
from indexstore.text_search import text_chunks

Chunks = tuple[Indices, Indices, Float32]  # the hit, the part's chunk row, the chunk's score


class Merged:
    """The best documents of all parts, by query, then score, then id."""

    def __init__(self, parts: Sequence[Part], found: Sequence[Found], query: ShardQuery) -> None:
        whole = Found.joined(list(found))
        owner = np.repeat(np.arange(len(found)), [len(piece.scores) for piece in found])
        want = query.limit + query.spare
        if query.score_threshold is not None:
            keep = whole.scores >= np.float32(query.score_threshold)
            whole = Found(whole.queries[keep], whole.documents[keep], whole.scores[keep])
            owner = owner[keep]
        order = np.lexsort((-whole.scores, whole.queries))
        order = _with_equals(whole.queries[order], whole.scores[order], order, want)
        ids = _named(parts, owner[order], whole.documents[order])
        order, ids = _ties_by_id(whole, order, ids)
        cut = _ranks(whole.queries[order]) < want
        if not cut.all():
            ids = [doc_id for doc_id, kept in zip(ids, cut.tolist(), strict=True) if kept]
            order = order[cut]
        self.ids = ids
        self.owner = owner[order]
        self.queries = whole.queries[order]
        self.documents = whole.documents[order]
        self.scores = whole.scores[order]


def _ranks(queries: Indices) -> Indices:
    """Return the place of each hit among those of its query; queries are ascending."""
    begins = np.searchsorted(queries, queries, "left")
    return np.arange(len(queries)) - begins


def _with_equals(queries: Indices, scores: Float32, order: Indices, want: int) -> Indices:
    """Keep the first ``want`` hits of each query and all that score like the last of them."""
    if not len(queries):
        return order
    last = np.searchsorted(queries, queries, "left") + want - 1
    last = np.minimum(last, len(queries) - 1)
    full = queries[last] == queries
    return np.asarray(order[~full | (scores >= scores[last])])


def _named(parts: Sequence[Part], owner: Indices, documents: Indices) -> list[str]:
    if len(parts) == 1:
        return parts[0].columns.ids.at(documents)
    ids = np.empty(len(documents), object)
    for number, part in enumerate(parts):
        mine = owner == number
        if mine.any():
            ids[mine] = part.columns.ids.at(documents[mine])
    named: list[str] = ids.tolist()
    return named


def _ties_by_id(whole: Found, order: Indices, ids: list[str]) -> tuple[Indices, list[str]]:
    queries, scores = whole.queries[order], whole.scores[order]
    if not ((queries[1:] == queries[:-1]) & (scores[1:] == scores[:-1])).any():
        return order, ids
    keys = list(zip(queries.tolist(), (-scores).tolist(), ids, strict=True))
    sorted_at = sorted(range(len(ids)), key=keys.__getitem__)
    return order[sorted_at], [ids[i] for i in sorted_at]


def hits_of(
    parts: Sequence[Part], merged: Merged, batch: Batch, query: ShardQuery, *, applied_seq: int
) -> ShardHits:
    """Return the answer: versions and the best chunks of every hit beside ids and scores."""
    versions = np.empty(len(merged.ids), np.int64)
    marks = [""] * len(merged.ids) if query.highlight else None
    chunks: list[Chunks] = []
    positions: list[NDArray[np.int32]] = []
    spans: list[NDArray[np.float64]] = []
    for number, part in enumerate(parts):
        hits = np.flatnonzero(merged.owner == number)
        if not len(hits):
            continue
        documents = merged.documents[hits]
        versions[hits] = part.versions[documents]
        piece = _best_chunks(part, batch, merged, hits, query)
        chunks.append(piece)
        if marks is not None:
            _mark(marks, part, merged, piece, query.texts)
        positions.append(part.columns.positions[piece[1]])
        spans.append(part.columns.spans[piece[1]])
    if not chunks:
        return ShardHits.none(query.queries, applied_seq=applied_seq)
    hit, _, scores = (np.concatenate(column) for column in zip(*chunks, strict=True))
    order = np.argsort(hit, kind="stable")
    counts = np.zeros(query.queries, np.int32)
    counts[batch.numbers] = np.bincount(merged.queries, minlength=len(batch))
    return ShardHits(
        counts=counts,
        doc_ids=merged.ids,
        versions=versions,
        scores=merged.scores,
        chunk_counts=np.bincount(hit, minlength=len(merged.ids)).astype(np.int32),
        chunk_positions=np.concatenate(positions)[order],
        chunk_scores=scores[order],
        chunk_spans=joined(spans)[order],
        applied_seq=applied_seq,
        highlights=marks,
    )


def _mark(
    marks: list[str], part: Part, merged: Merged, piece: Chunks, texts: Sequence[str]
) -> None:
    """Highlight every hit's best chunk."""
    if part.text is None or part.columns.texts is None:
        return
    marker = Highlighter(part.text.engine, part.columns.texts)
    for hit, chunk in zip(piece[0].tolist(), piece[1].tolist(), strict=True):
        if not marks[hit]:
            marks[hit] = marker.excerpt(texts[int(merged.queries[hit])], chunk)


def _best_chunks(
    part: Part, batch: Batch, merged: Merged, hits: Indices, query: ShardQuery
) -> Chunks:
    """Return the best chunks of some hits of one part, by hit, then score, then position."""
    documents, queries = merged.documents[hits], merged.queries[hits]
    if part.text is not None:
        found = documents, merged.scores[hits]
        owner, chunks, scores = text_chunks(part, query.texts, queries, found)
        order = np.lexsort((-scores, owner))
        rank = _ranks(owner)
        order = order[rank < max(1, query.group_size)]
        return hits[owner[order]], chunks[order], scores[order]
    if part.is_simple:
        weights, scores = part.weights[documents], merged.scores[hits]
        if not part.is_uniform:
            scores = np.divide(scores, weights, out=np.zeros_like(scores), where=weights > 0)
        return hits, documents, scores
    chunks, begins = part.chunk_rows(documents)
    lengths = np.diff(np.append(begins, len(chunks)))
    owner = np.repeat(np.arange(len(hits)), lengths)
    scores = chunk_scores(part, batch, queries[owner], chunks)
    order = np.lexsort((part.columns.positions[chunks], -scores, owner))
    rank = np.arange(len(order)) - np.repeat(begins, lengths)
    order = order[rank < max(1, query.group_size)]
    return hits[owner[order]], chunks[order], scores[order]


def chunk_scores(part: Part, batch: Batch, queries: Indices, chunks: Indices) -> Float32:
    """Return what chunk i gives to its document's score for query i, before its weight."""
    vectors = part.columns.vectors
    weights = part.columns.weights[chunks].astype(np.float64)
    if part.finds_documents(batch.reduction):
        scores = pair_relevance(batch.metric, batch.joined, queries, vectors, chunks) * weights
        return np.asarray(scores.astype(np.float32))
    rows, begins = batch.rows_of(queries)
    depth = np.diff(np.append(begins, len(rows)))
    at = np.repeat(np.arange(len(chunks)), depth)
    pairs = pair_relevance(batch.metric, batch.rows, rows, vectors, chunks[at])
    pairs = pairs * weights[at] * batch.weights[rows]
    return np.asarray(reduce_runs(pairs, begins, batch.reduction).astype(np.float32))
