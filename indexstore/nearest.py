"""The best documents of one part: candidates from its engine or a scan, scored exactly.

A document is scored over all of its chunks, never over those alone that the engine happened to
find. So an engine only proposes; it is asked for more until the last wanted document is better
than any document not yet seen could be (the threshold algorithm: Fagin, Lotem, Naor, PODS 2001).
Where that grows dearer than looking at everything, everything is looked at. The answer therefore
does not depend on how documents are spread over segments, delta and shards.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from indexstore.batch import Batch
from indexstore.kernel import CONTINUOUS, relevance_of
from indexstore.model import Metric
from indexstore.part import Part, Passing
from indexstore.proposing import compared, nearest_units
from indexstore.runs import Indices
from indexstore.scanning import FEW_QUERIES, block_size, scanned_scores
from indexstore.scoring import best_columns, pair_relevance, reduce_runs

SLACK = 6  # candidates beyond the wanted, so that one look nearly always settles a query
WIDEN = 4  # how much further each look goes
SCAN_SHARE = 20  # from a 20th of the rows on, a scan is cheaper than the engine
SCANNED_ALONE = 2048  # rows that lie here and there, compared in the time of a search
REFINE = 4  # candidates a wanted document, where the engine's own scores are rough

Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scope:
    """Which documents may come, and how hard to look."""

    want: int
    passing: Passing | None = None  # chosen by a filter; None: all live ones
    exact: bool = False
    effort: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Documents found, in no order: the query, the document's ordinal, the score."""

    queries: Indices
    documents: Indices
    scores: Scores

    @classmethod
    def joined(cls, pieces: "list[Found]") -> "Found":
        """Put several answers together."""
        if len(pieces) == 1:
            return pieces[0]
        return cls(
            np.concatenate([piece.queries for piece in pieces] or [np.empty(0, np.int64)]),
            np.concatenate([piece.documents for piece in pieces] or [np.empty(0, np.int64)]),
            np.concatenate([piece.scores for piece in pieces] or [np.empty(0, np.float32)]),
        )

    def without(self, documents: Indices) -> "Found":
        """Return what was found but for some documents."""
        if not len(documents):
            return self
        keep = ~np.isin(self.documents, documents)
        return Found(self.queries[keep], self.documents[keep], self.scores[keep])


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Candidates of some queries, -1 where there are none, and what the unseen may score."""

    documents: Indices  # (q, w), each document once a row
    bounds: NDArray[np.float64]  # (q,)


def best_documents(part: Part, batch: Batch, scope: Scope) -> Found:
    """Return at least the best ``want`` documents of every query, with all equals of the last."""
    passing = scope.passing or part.living()
    available = len(part.units) if passing is None else passing.units.count
    if not available or not len(batch):
        return Found.joined([])
    width = scope.want + SLACK
    lossy = part.engine is not None and part.engine.vectors is None
    width = width * REFINE if lossy else width
    pending, pieces = np.arange(len(batch)), []
    if _engine_helps(part, batch, scope):
        while len(pending) and _least(part, width, len(pending), passing) <= available:
            proposal = _propose(part, batch, scope, (pending, width, passing, available))
            settled, found = _settle(part, batch, scope.want, (pending, proposal, lossy))
            pieces.append(found)
            pending = pending[~settled]
            width *= WIDEN
    if len(pending):
        pieces.extend(_scan(part, batch, scope, pending))
    return Found.joined(pieces)


def _least(part: Part, width: int, queries: int, passing: Passing | None) -> int:
    """Return from how many units on a search for some is cheaper than to look at all."""
    least = width * SCAN_SHARE
    if passing is None:
        return least
    if part.lists is not None and queries <= FEW_QUERIES:
        return max(least, SCANNED_ALONE)
    return max(least, compared(part, width))


def _engine_helps(part: Part, batch: Batch, scope: Scope) -> bool:
    if part.engine is None or part.engine.is_exact or scope.exact:
        return False
    if part.by_document and not part.finds_documents(batch.reduction):
        return False  # built for another score: its units say nothing about this one
    if part.finds_documents(batch.reduction):
        return True
    # No bound is known for a product of scores, nor where being unlike counts.
    return batch.reduction != "multiply" and bool((batch.weights >= 0).all())


def _propose(
    part: Part,
    batch: Batch,
    scope: Scope,
    look: tuple[Indices, int, Passing | None, int],
) -> Proposal:
    """Find the nearest units of the pending queries."""
    pending, width, passing, available = look
    linear = part.finds_documents(batch.reduction)
    rows, begins = (pending, None) if linear else batch.rows_of(pending)
    table = batch.joined if linear else batch.rows
    queries = table if len(rows) == len(table) else table[rows]
    scores, units = nearest_units(part, queries, width, passing, effort=scope.effort)
    found = (units >= 0).sum(axis=1)
    last = scores[np.arange(len(units)), np.maximum(found - 1, 0)].astype(np.float64)
    # Everything was found: nothing is unseen. Too little was: only a scan can tell.
    last[found >= available] = -np.inf
    last[found < min(units.shape[1], available)] = np.inf
    documents = part.unit_documents(units)
    if begins is None:
        return Proposal(documents, _bounds(part, batch, last))
    with np.errstate(invalid="ignore"):  # infinity times a weight of 0, or less infinity
        bounds = last * batch.weights[rows]
        bounds = reduce_runs(bounds, begins, "sum" if batch.reduction == "sum" else "max")
    bounds[np.isnan(bounds)] = np.inf
    return Proposal(_merged(documents, begins), _bounds(part, batch, bounds))


def _bounds(part: Part, batch: Batch, last: NDArray[np.float64]) -> NDArray[np.float64]:
    low, high = part.ceilings(batch.reduction)
    if low == high == 1.0:
        return last
    with np.errstate(invalid="ignore"):  # infinity times a ceiling of 0
        bounds = np.where(last > 0, last * high, last * low)
    bounds[np.isnan(bounds)] = 0.0
    return bounds


def _merged(documents: Indices, begins: Indices) -> Indices:
    """Lay the rows of each query side by side, every document once."""
    rows, width = documents.shape
    counts = np.diff(np.append(begins, rows))
    deepest = int(counts.max())
    table = np.full((len(begins), deepest, width), -1, np.int64)
    owner = np.repeat(np.arange(len(begins)), counts)
    table[owner, np.arange(rows) - begins[owner]] = documents
    wide = np.sort(table.reshape(len(begins), deepest * width), axis=1)
    wide[:, 1:][wide[:, 1:] == wide[:, :-1]] = -1
    return wide


def _settle(
    part: Part, batch: Batch, want: int, look: tuple[Indices, Proposal, bool]
) -> tuple[NDArray[np.bool_], Found]:
    """Score candidates exactly; tell which queries need no wider look, and their best."""
    pending, proposal, lossy = look
    scores = document_scores(part, batch, pending, proposal.documents, want=want)
    last = _nth_best(scores, want)
    if lossy:  # its bounds are rough as well: trust the refinement, unless it found too few
        settled = ~np.isposinf(proposal.bounds)
    else:
        with np.errstate(invalid="ignore"):
            settled = (proposal.bounds < last - _margin(last)) | np.isneginf(proposal.bounds)
    chosen = (scores >= last[:, None]) & (proposal.documents >= 0) & settled[:, None]
    at, column = np.nonzero(chosen)
    return settled, Found(pending[at], proposal.documents[at, column], scores[at, column])


def _margin(scores: Scores) -> Scores:
    """Return how far scores of single precision may be from the exact ones, generously."""
    return np.asarray(1e-5 * np.abs(scores) + 1e-7)


def _nth_best(scores: Scores, want: int) -> Scores:
    if scores.shape[1] < want:
        return np.full(len(scores), -np.inf, np.float32)
    return np.partition(scores, scores.shape[1] - want, axis=1)[:, scores.shape[1] - want]


def document_scores(
    part: Part, batch: Batch, pending: Indices, documents: Indices, *, want: int
) -> Scores:
    """Score candidates (q, w) over all of their chunks; -inf for none, or not among the best.

    Of many candidates those that cannot be among the best ``want`` are told by single precision.
    """
    hopeful = documents >= 0
    if documents.shape[1] > want + SLACK and batch.metric in CONTINUOUS:
        rough = _scores_of(part, batch, pending, (documents, hopeful, relevance_of))
        last = _nth_best(rough, want)
        with np.errstate(invalid="ignore"):  # infinity less infinity, where there are too few
            hopeful &= ~(rough < (last - _margin(last))[:, None])
    return _scores_of(part, batch, pending, (documents, hopeful, pair_relevance))


_Compare = Callable[[Metric, Scores, Indices, Scores, Indices], NDArray[Any]]


def _scores_of(
    part: Part, batch: Batch, pending: Indices, look: tuple[Indices, NDArray[np.bool_], _Compare]
) -> Scores:
    documents, hopeful, compare = look
    at, column = np.nonzero(hopeful)
    scores = np.full(documents.shape, -np.inf, np.float32)
    found = pending[at], documents[at, column]
    if part.finds_documents(batch.reduction):
        pairs = compare("ip", batch.joined, found[0], part.units, found[1])
        factors = part.factors(batch.reduction)
        scores[at, column] = pairs if factors is None else pairs * factors[found[1]]
    else:
        scores[at, column] = _pair_scores(part, batch, found, compare)
    return scores


def _pair_scores(
    part: Part, batch: Batch, found: tuple[Indices, Indices], compare: _Compare
) -> NDArray[Any]:
    """Score document i for query i: every chunk against every row of the query."""
    queries, documents = found
    if not len(queries):
        return np.empty(0, np.float32)
    chunks, begins = part.chunk_rows(documents)
    owner = np.repeat(np.arange(len(documents)), np.diff(np.append(begins, len(chunks))))
    rows, row_begins = batch.rows_of(queries[owner])
    depth = np.diff(np.append(row_begins, len(rows)))
    chunks = np.repeat(chunks, depth)
    pairs = compare(batch.metric, batch.rows, rows, part.columns.vectors, chunks)
    scores = np.asarray(pairs, np.float64)
    scores *= part.columns.weights[chunks].astype(np.float64)
    scores *= batch.weights[rows].astype(np.float64)
    reduced = reduce_runs(scores, row_begins[begins], batch.reduction)
    return reduced * part.weights[documents].astype(np.float64)


def _scan(part: Part, batch: Batch, scope: Scope, pending: Indices) -> "list[Found]":
    """Look at every document that may come, a block of queries at a time."""
    passing = scope.passing or part.living()
    chosen = None if passing is None else passing.chosen
    step = block_size(part, batch)
    return [
        _scan_block(part, batch, scope.want, (pending[i : i + step], chosen))
        for i in range(0, len(pending), step)
    ]


def _scan_block(part: Part, batch: Batch, want: int, look: tuple[Indices, Indices | None]) -> Found:
    pending, chosen = look
    scores = scanned_scores(part, batch, pending, chosen)
    count = scores.shape[1]
    width, pieces = want + SLACK, []
    while len(pending):
        best, columns = best_columns(scores, width)
        documents = columns if chosen is None else chosen[columns]
        unseen = best[:, -1].astype(np.float64) if width < count else np.full(len(best), -np.inf)
        settled, found = _settle(part, batch, want, (pending, Proposal(documents, unseen), False))
        pieces.append(found)
        pending, scores = pending[~settled], scores[~settled]
        width *= WIDEN
    return Found.joined(pieces)
