"""Highlights: where a hit's text meets the words of the query."""

from __future__ import annotations

import html
import re

_WORD = re.compile(r"\w+")
_SHORTEST = 3  # shorter words (the, of, in) mark half of every text


def query_words(query: str) -> frozenset[str]:
    """Return the words of a query that are worth marking, in lower case."""
    return frozenset(
        word
        for word in (m.group().casefold() for m in _WORD.finditer(query))
        if len(word) >= _SHORTEST
    )


def highlight(text: str, words: frozenset[str]) -> str:
    """Return ``text`` as HTML with the words of the query in ``<em>``; all else is escaped."""
    pieces: list[str] = []
    at = 0
    for match in _WORD.finditer(text):
        if match.group().casefold() in words:
            pieces.append(html.escape(text[at : match.start()]))
            pieces.append(f"<em>{html.escape(match.group())}</em>")
            at = match.end()
    pieces.append(html.escape(text[at:]))
    return "".join(pieces)
