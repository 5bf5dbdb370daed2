"""HTML to sections of plain text, by the standard library's parser."""

import html
from html.parser import HTMLParser
from itertools import accumulate

import regex

from workers.preprocess.sections import Section, SectionBuilder

_HIDDEN = frozenset(["script", "style", "template", "noscript", "head", "svg", "iframe"])
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_INLINE = frozenset(
    regex.findall(
        r"\w+",
        """
        a abbr b bdi bdo cite code data dfn em font i img kbd label mark q s samp small span
        strong sub sup time tt u var wbr
        """,
    )
)


def html_sections(value: str) -> list[Section]:
    """Return the visible text of an HTML page under its headings; never fails on bad HTML."""
    parser = _Parser(value)
    parser.feed(value)
    parser.close()
    parser.builder.close()
    return parser.builder.sections


class _Parser(HTMLParser):
    """Feeds a builder with the visible text, entities resolved."""

    def __init__(self, value: str) -> None:
        super().__init__(convert_charrefs=False)
        lines = value.split("\n")
        self._line_starts = [0, *accumulate(len(line) + 1 for line in lines)]
        self.builder = SectionBuilder()
        self._hidden: list[str] = []
        self._heading: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _HIDDEN:
            self._hidden.append(tag)
        if self._hidden:
            return
        if tag in _HEADINGS:
            self.builder.heading(_HEADINGS[tag], "")
            self._heading = []
        elif tag not in _INLINE:
            self.builder.separate(self._place())
        alternative = dict(attrs).get("alt") if tag == "img" else None
        self.builder.insert(f" {alternative} " if alternative else "", self._place())

    def handle_endtag(self, tag: str) -> None:
        if tag in self._hidden:
            del self._hidden[self._hidden.index(tag) :]
        elif tag in _HEADINGS and self._heading is not None:
            self.builder.name_heading(" ".join("".join(self._heading).split()))
            self._heading = None
            self.builder.separate(self._place())
        elif tag not in _INLINE and not self._hidden:
            self.builder.separate(self._place())

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self._note(data)
            self.builder.keep(data, self._place())

    def handle_entityref(self, name: str) -> None:
        self._entity(html.unescape(f"&{name};"))

    def handle_charref(self, name: str) -> None:
        self._entity(html.unescape(f"&#{name};"))

    def _entity(self, text: str) -> None:
        if not self._hidden:
            self._note(text)
            self.builder.insert(text, self._place())

    def _note(self, text: str) -> None:
        if self._heading is not None:
            self._heading.append(text)

    def _place(self) -> int:
        line, column = self.getpos()
        return self._line_starts[line - 1] + column
