"""Full-text search over one part: candidates from its searcher, scores and chunks by words."""

from collections.abc import Callable, Sequence

import numpy as np

from indexstore.engines.bm25 import Asked, TextSearcher
from indexstore.model import Float32
from indexstore.nearest import Found, Scope
from indexstore.part import Part
from indexstore.runs import Indices
from indexstore.word_columns import Words
from indexstore.words import Counted, Statistics

SLACK = 6  # candidates beyond the wanted, so that one look nearly always settles a query
WIDEN = 4
MOST_LOOKED_AT = 50_000  # documents of which more than a few would have to be equal


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

    Args:
        part: where the documents lie.
        texts: one a query.
        queries: the query of each hit, ascending.
        found: documents and scores of the hits.
    """
    documents, scores = found
    nothing = np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32)
    if part.text is None or part.words is None:
        return nothing
    pieces: list[tuple[Indices, Indices, Float32]] = []
    for query in np.unique(queries).tolist():
        first, end = np.searchsorted(queries, [query, query + 1]).tolist()
        chunks, begins = part.chunk_rows(documents[first:end])
        hits = first + np.repeat(np.arange(end - first), np.diff(np.append(begins, len(chunks))))
        terms = part.text.engine.asked(texts[query]).columns[0]
        shared = part.words.shared(chunks, terms)
        shown = shared > 0
        shown[begins] = True
        shares = scores[hits] * shared / max(1, len(terms))
        pieces.append((hits[shown], chunks[shown], shares[shown].astype(np.float32)))
    hits, chunks, shares = (np.concatenate(each) for each in zip(nothing, *pieces, strict=True))
    return hits, chunks, shares
