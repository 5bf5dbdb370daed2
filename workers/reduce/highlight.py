"""Highlights: where a hit's text meets the words of the query."""

from __future__ import annotations

import html
import re

from indexstore import unspaced

_WORD = re.compile(r"\w+")
_SHORTEST = 3  # shorter words (the, of, in) mark half of every text


def query_words(query: str) -> frozenset[str]:
    """Return the words of a query that are worth marking, in lower case.

    Of scripts without spaces it is every pair of neighbours.
    """
    words = (match.group().casefold() for match in _WORD.finditer(query))
    return frozenset((*(w for w in words if len(w) >= _SHORTEST), *unspaced.pairs(query)))


def highlight(text: str, words: frozenset[str]) -> str:
    """Return ``text`` as HTML with the words of the query in ``<em>``; all else is escaped."""
    pieces: list[str] = []
    at = 0
    found = (match.span() for match in _WORD.finditer(text) if match.group().casefold() in words)
    for first, last in unspaced.spans(text, words, found):
        pieces.append(html.escape(text[at:first]))
        pieces.append(f"<em>{html.escape(text[first:last])}</em>")
        at = last
    pieces.append(html.escape(text[at:]))
    return "".join(pieces)
