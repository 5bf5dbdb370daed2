"""Markdown and HTML to plain text, with the headings as tags."""

from dataclasses import replace
from typing import Literal

import regex

from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError
from workers.preprocess.html_sections import html_sections
from workers.preprocess.markdown_sections import markdown_sections
from workers.preprocess.sections import Section
from workers.preprocess.texts import Text, Weights, is_blank, text_from

_LOOKS_LIKE_HTML = regex.compile(
    r"<!doctype html|<html|<body|</(?:p|div|h[1-6]|ul|table|span|a)>", regex.IGNORECASE
)


class MarkupSections(Preprocessor):
    """Markdown or HTML to plain text: a chunk a section, its headings as the tag ``headings``.

    Scripts, styles and marks are left out, entities resolved; spans point into the original. Put
    a splitter behind it in a pipeline.

    Args:
        syntax: what the documents are written in; auto looks at each.
        weights: what a section weighs: its share of the text (length), so that sums compare; or 1
            (equal), for indexes that score a document by its best chunk (max).
        max_chunks: documents of more sections are refused.
    """

    aliases = ("Markdown", "HTML", "markup")
    inputs = ("text",)

    def __init__(
        self,
        *,
        syntax: Literal["auto", "markdown", "html"] = "auto",
        weights: Weights = "length",
        max_chunks: int = 4096,
    ) -> None:
        self.syntax = syntax
        self.weights: Weights = weights
        self.max_chunks = max_chunks

    def apply(self, source: Source) -> list[Chunk]:
        """Return one chunk a section that holds any text."""
        text = text_from(source)
        is_html = self.syntax == "html" or (
            self.syntax == "auto" and _LOOKS_LIKE_HTML.search(text.value) is not None
        )
        found = html_sections(text.value) if is_html else markdown_sections(text.value)
        sections = [section for section in found if not is_blank(section.text)]
        if not sections:
            raise ContentError("the document shows no text", "is there anything but mark-up in it?")
        if len(sections) > self.max_chunks:
            raise ContentError(f"{len(sections)} sections; the limit is {self.max_chunks}")
        whole = sum(len(section.text.strip()) for section in sections)
        chunks = [_chunk(place, section, text, whole) for place, section in enumerate(sections)]
        if self.weights == "length":
            return chunks
        return [replace(chunk, weight=1.0) for chunk in chunks]


def _chunk(position: int, section: Section, text: Text, whole: int) -> Chunk:
    """Return a section as a chunk, its ends without white space."""
    start = len(section.text) - len(section.text.lstrip())
    stop = start + len(section.text.strip())
    places = section.origins[start:stop]
    origins = places if text.origins is None else text.origins[places]
    return Chunk(
        position=position,
        weight=(stop - start) / whole,
        span=(int(origins[0]), int(origins[-1]) + 1),
        text=section.text[start:stop],
        tags={**text.tags, "headings": list(section.headings)},
        origins=origins,
    )
