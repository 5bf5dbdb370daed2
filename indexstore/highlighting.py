"""Excerpts of chunks as HTML, with the words of a query marked."""

import html
import re
from collections.abc import Sequence

from indexstore import unspaced
from indexstore.engines.bm25 import Bm25Engine

CONTEXT = 160  # characters of an excerpt, and a quarter of them before its first word

_TOKEN = re.compile(r"\w+")


class Highlighter:
    """Marks words as the full-text index knows them; what a word was analysed to is remembered."""

    def __init__(self, engine: Bm25Engine, texts: Sequence[str]) -> None:
        self._engine, self._texts = engine, texts
        self._terms: dict[str, set[str]] = {}

    def excerpt(self, query: str, chunk: int) -> str:
        """Return a chunk's text around the query's words, escaped, those words in ``<em>``."""
        body = str(self._texts[chunk])
        spans = self._spans(body, self._engine.terms(query))
        start = max(0, spans[0][0] - CONTEXT // 4) if spans else 0
        end = start + CONTEXT
        pieces, at = [], start
        for first, last in spans:
            marked = html.escape(body[first:last])
            pieces.append(f"{html.escape(body[at:first])}<em>{marked}</em>")
            at = last
        pieces.append(html.escape(body[at : max(at, end)]))
        return ("…" if start else "") + "".join(pieces) + ("…" if max(at, end) < len(body) else "")

    def _spans(self, body: str, wanted: set[str]) -> list[tuple[int, int]]:
        """Return where the first of the wanted words stand, as far as an excerpt shows them."""
        tokens = _TOKEN.finditer(body)
        words = (match.span() for match in tokens if wanted & self._terms_of(match.group()))
        spans: list[tuple[int, int]] = []
        for span in unspaced.spans(body, wanted, words):
            if spans and span[0] >= max(0, spans[0][0] - CONTEXT // 4) + CONTEXT:
                break
            spans.append(span)
        return spans

    def _terms_of(self, text: str) -> set[str]:
        terms = self._terms.get(text)
        if terms is None:
            terms = self._terms[text] = set(self._engine.words(text))
        return terms
