"""Full-text search over one part: candidates from its searcher, chunks and highlights by words."""

import html
import re
from collections.abc import Callable, Sequence

import numpy as np

from indexstore.engines.bm25 import Asked, TextSearcher
from indexstore.model import Float32
from indexstore.nearest import Found, Scope
from indexstore.part import Part
from indexstore.runs import Indices
from indexstore.words import Counted, Statistics, Words

SLACK = 6  # candidates beyond the wanted, so that one look nearly always settles a query
WIDEN = 4
MOST_LOOKED_AT = 50_000  # documents of which more than a few would have to be equal
CONTEXT = 160  # characters of a highlight around its first word

_TOKEN = re.compile(r"\w+")


def text_finder(
    parts: Sequence[Part],
    texts: Sequence[str],
    elsewhere: Sequence[Counted],
    *,
    min_should: int | None,
) -> Callable[[Part, Scope], Found]:
    """Return what finds at least the best ``want`` documents of every text, with all equals.

    Args:
        parts: all of the shard, for words are as rare as they are in all of them together.
        texts: one a query.
        elsewhere: the counts of the other shards.
        min_should: so many of a query's terms have to match; None: any of them.
    """
    statistics = Statistics((*(part.words_known for part in parts), *elsewhere))

    def find(part: Part, scope: Scope) -> Found:
        searcher: TextSearcher | None = part.text
        if searcher is None or part.words is None:
            return Found.joined([])
        asked = [searcher.engine.asked(text) for text in texts]
        how = scope, statistics, min_should
        return Found.joined(
            [
                _best(part, (searcher, part.words), one, how, number)
                for number, one in enumerate(asked)
                if one.terms
            ]
        )

    return find


def _best(
    part: Part,
    source: tuple[TextSearcher, Words],
    asked: Asked,
    how: tuple[Scope, Statistics, int | None],
    number: int,
) -> Found:
    """Score candidates of the part's own index exactly, until nothing unseen can be better."""
    (searcher, words), (scope, statistics, min_should) = source, how
    passing = scope.passing or part.living()
    allowed = None if passing is None else passing.units
    rarities = statistics.rarity(asked.columns[0])
    query = searcher.query(asked, rarities, min_should)
    highest = _ceiling(part, statistics)
    width = scope.want + SLACK
    while True:
        rough, rows = searcher.search(query, width, allowed)
        exact = words.scores(rows, asked.columns, rarities, statistics.average) * part.weights[rows]
        scores = exact.astype(np.float32)
        if len(rows) < width or width >= MOST_LOOKED_AT:
            break
        last = float(np.partition(scores, len(scores) - scope.want)[-scope.want])
        if last > float(rough[-1]) * highest:  # what was not seen cannot reach the last wanted
            break
        width *= WIDEN
    return Found(np.full(len(rows), number), rows, scores)


def _ceiling(part: Part, statistics: Statistics) -> float:
    """Return how far a document's score can be above what the part's own index gives it.

    A longer average makes every document's score higher, by the ratio of the two at most.
    """
    heaviest = float(part.weights.max(initial=0.0))
    own = np.maximum(Statistics((part.words_known,)).average, 1e-9)
    return heaviest * float(np.maximum(1.0, statistics.average / own).max()) * (1 + 1e-4)


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
    terms = {query: engine.terms(texts[query]) for query in set(queries.tolist())}
    hits, chunks, shares = [], [], []
    for hit, (query, document) in enumerate(zip(queries.tolist(), documents.tolist(), strict=True)):
        wanted = terms[query]
        first, end = part.columns.starts[document : document + 2].tolist()
        for chunk in range(first, end):
            shared = len(wanted & engine.terms(part.columns.texts[chunk]))
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
    wanted = engine.terms(text)
    spans = [
        match.span() for match in _TOKEN.finditer(body) if wanted & engine.terms(match.group())
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
