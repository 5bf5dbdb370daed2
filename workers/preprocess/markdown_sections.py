"""Markdown to sections of plain text, line by line; marks go, words stay where they were."""

from collections.abc import Iterator

import regex

from workers.preprocess.sections import Section, SectionBuilder

_ATX = regex.compile(r" {0,3}(#{1,6})[ \t]+(.*?)[ \t]*#*[ \t]*$")
_SETEXT = regex.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = regex.compile(r" {0,3}(```+|~~~+)")
_RULE = regex.compile(r" {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$")
_TABLE_RULE = regex.compile(r"[ \t]*\|?[ \t:|-]*-[ \t:|-]*\|?[ \t]*$")
_PREFIX = regex.compile(r"[ \t]*(?:>[ \t]?)+|[ \t]*\[[^\]]+\]:[ \t]*\S+.*$")
#: Inline marks; of each match only group 1 stays.
_INLINE = regex.compile(
    r"!?\[((?:[^\[\]\\]|\\.)*)\](?:\((?:[^()\\]|\\.|\([^()]*\))*\)|\[[^\]]*\])"  # links, images
    r"|</?[A-Za-z][^<>]*>|<!--.*?-->"  # tags
    r"|\\([^\w\s])"  # escapes
    r"|\*{1,3}(?=\S)|(?<=\S)\*{1,3}|(?<!\w)_{1,3}(?=\S)|(?<=\S)_{1,3}(?!\w)"  # emphasis
    r"|`+|~~|(?<=\s|^)\||\|(?=\s|$)"  # code, strike-through, table cells
)


def markdown_sections(value: str) -> list[Section]:
    """Return the text of a Markdown document under its headings; every text is Markdown."""
    builder = SectionBuilder()
    lines = list(_lines(value))
    fence = ""
    for number, (start, line) in enumerate(lines):
        mark = _FENCE.match(line)
        if mark and (not fence or mark.group(1).startswith(fence)):
            fence = "" if fence else mark.group(1)
            builder.separate(start)
        elif fence:
            builder.keep(line + "\n", start)
        else:
            following = lines[number + 1][1] if number + 1 < len(lines) else ""
            _add_line(builder, line, start, following)
    builder.close()
    return builder.sections


def _lines(value: str) -> Iterator[tuple[int, str]]:
    start = 0
    for line in value.split("\n"):
        yield start, line.removesuffix("\r")
        start += len(line) + 1


def _add_line(builder: SectionBuilder, line: str, start: int, following: str) -> None:
    """Add one line outside of code: a heading, the end of a block, or text."""
    atx = _ATX.match(line)
    if atx:
        _add_heading(builder, len(atx.group(1)), atx.group(2), start + atx.start(2))
    elif line.strip() and _SETEXT.match(following) and not _PREFIX.match(line):
        _add_heading(builder, 1 if "=" in following else 2, line, start)
    elif not line.strip() or _SETEXT.match(line) or _RULE.match(line) or _TABLE_RULE.match(line):
        builder.separate(start)
    else:
        prefix = _PREFIX.match(line)
        skipped = prefix.end() if prefix else 0
        _add_inline(builder, line, start, skipped)
        builder.insert("\n", start + len(line))


def _add_heading(builder: SectionBuilder, level: int, title: str, start: int) -> None:
    builder.heading(level, _plain(title))
    _add_inline(builder, title, start, 0)
    builder.separate(start + len(title))


def _add_inline(builder: SectionBuilder, line: str, start: int, begin: int) -> None:
    """Add a line's text without its marks."""
    place = begin
    for mark in _INLINE.finditer(line, begin):
        builder.keep(line[place : mark.start()], start + place)
        kept = 1 if mark.group(1) is not None else 2
        if mark.group(kept):
            _add_inline_of(builder, mark.group(kept), start + mark.start(kept))
        place = mark.end()
    builder.keep(line[place:], start + place)


def _add_inline_of(builder: SectionBuilder, text: str, start: int) -> None:
    """Add the text of a link or the character of an escape."""
    if len(text) > 1:
        _add_inline(builder, text, start, 0)
    else:
        builder.keep(text, start)


def _plain(title: str) -> str:
    builder = SectionBuilder()
    _add_inline(builder, title, 0, 0)
    builder.close()
    return builder.sections[0].text.strip() if builder.sections else ""
