"""Full-text search over one part: candidates from its searcher, chunks and highlights by words."""

import html
import re
from collections.abc import Sequence

import numpy as np

from indexstore.engines.bm25 import TextSearcher
from indexstore.model import Float32
from indexstore.nearest import Found, Scope
from indexstore.part import Part
from indexstore.runs import Indices

WIDEN = 4
CONTEXT = 160  # characters of a highlight around its first word

_TOKEN = re.compile(r"\w+")


def text_documents(
    part: Part, texts: Sequence[str], scope: Scope, *, min_should: int | None
) -> Found:
    """Return at least the best ``want`` documents of every text, weighted, with all equals."""
    searcher: TextSearcher | None = part.text
    if searcher is None:
        return Found.joined([])
    pieces = [
        _best(part, searcher, text, (scope, min_should), number)
        for number, text in enumerate(texts)
    ]
    return Found.joined(pieces)


def _best(
    part: Part,
    searcher: TextSearcher,
    text: str,
    how: tuple[Scope, int | None],
    number: int,
) -> Found:
    scope, min_should = how
    passing = scope.passing or part.living()
    allowed = None if passing is None else passing.units
    width, highest = scope.want, float(part.weights.max(initial=0.0))
    while True:
        plain, rows = searcher.search(text, width, allowed, min_should=min_should)
        scores = plain if part.is_uniform else plain * part.weights[rows]
        if part.is_uniform or len(rows) < width or width >= part.count:
            break
        last = np.sort(scores)[-scope.want]
        if last > plain[-1] * highest:  # what was not seen cannot reach the last wanted
            break
        width *= WIDEN
    return Found(np.full(len(rows), number), rows, scores)


def text_chunks(
    part: Part, texts: Sequence[str], queries: Indices, found: tuple[Indices, Float32]
) -> tuple[Indices, Indices, Float32]:
    """Return every hit's chunks that share words with its query: hit, chunk row, and score.

    A chunk's score is its document's, by the share of the query's words that it has.
    """
    documents, scores = found
    if part.text is None or part.columns.texts is None:
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    engine = part.text.engine
    hits, chunks, shares = [], [], []
    for hit, (query, document) in enumerate(zip(queries.tolist(), documents.tolist(), strict=True)):
        wanted = set(engine.terms(texts[query]))
        first, end = part.columns.starts[document : document + 2].tolist()
        for chunk in range(first, end):
            shared = len(wanted & set(engine.terms(part.columns.texts[chunk])))
            if shared or chunk == first:
                hits.append(hit)
                chunks.append(chunk)
                shares.append(scores[hit] * shared / max(1, len(wanted)))
    return np.array(hits, np.int64), np.array(chunks, np.int64), np.array(shares, np.float32)


def highlighted(part: Part, text: str, chunk: int) -> str:
    """Return a chunk's text around the query's words as HTML, with those words in ``<em>``."""
    if part.text is None or part.columns.texts is None:
        return ""
    engine, body = part.text.engine, str(part.columns.texts[chunk])
    wanted = set(engine.terms(text))
    spans = [
        match.span()
        for match in _TOKEN.finditer(body)
        if wanted.intersection(engine.terms(match.group()))
    ]
    start = max(0, spans[0][0] - CONTEXT // 4) if spans else 0
    end = start + CONTEXT
    pieces, at = [], start
    for first, last in spans:
        if first < end:
            pieces.append(f"{html.escape(body[at:first])}<em>{html.escape(body[first:last])}</em>")
            at = last
    pieces.append(html.escape(body[at : max(at, end)]))
    return ("…" if start else "") + "".join(pieces) + ("…" if max(at, end) < len(body) else "")
