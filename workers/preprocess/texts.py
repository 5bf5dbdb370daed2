"""What preprocessors of text share: reading a source, cutting long parts, making chunks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import regex
from numpy.typing import NDArray

from workers.component import Chunk, Source
from workers.errors import ContentError

#: Something a reader could see; a text without it is blank.
_VISIBLE = regex.compile(r"[^\s\p{Z}\p{Cc}\p{Cf}\p{Cs}]")
_LONE_SURROGATE = regex.compile(r"[\ud800-\udfff]")
#: Where a long part may be cut: after a comma or the like (the cut is behind it) ...
_PAUSE = regex.compile(r"[,;:)\]](?=\s)|[\u3001\uff0c\uff1b\uff1a\u060c\u061b\u2013\u2014]")
#: ... or at white space (the cut is before it).
_SPACE = regex.compile(r"\s+")
_CHARACTER_OR_SPACE = regex.compile(r"\S|\s+")
_GRAPHEME = regex.compile(r"\X")

#: How much the chunks of a text weigh: each its share of the text, or all the same.
Weights = Literal["length", "equal"]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Text:
    """A text with what must not get lost on the way: its tags and its places in the original."""

    value: str
    tags: Mapping[str, Any] = field(default_factory=dict)
    origins: NDArray[np.int32] | None = None

    def original(self, span: Span) -> Span:
        """Return where a span of this text stands in the original."""
        if self.origins is None:
            return span
        return int(self.origins[span[0]]), int(self.origins[span[1] - 1]) + 1


def text_from(source: Source) -> Text:
    """Read the text of a source; bytes are UTF-8.

    Raises:
        ContentError: no text, bytes that are no UTF-8, or nothing visible in it.
    """
    value = source.text if source.text is not None else _decoded(source)
    if not _VISIBLE.search(value):
        raise ContentError("the text is empty or blank", "send at least one visible character")
    return Text(_LONE_SURROGATE.sub("\ufffd", value), source.tags, source.origins)


def is_blank(value: str) -> bool:
    """Say whether a reader would see nothing."""
    return _VISIBLE.search(value) is None


def trimmed(value: str, span: Span) -> Span:
    """Return the span without the white space at both ends."""
    part = value[span[0] : span[1]]
    start = span[0] + len(part) - len(part.lstrip())
    return start, start + len(part.strip())


def cut_long(value: str, span: Span, max_length: int) -> list[Span]:
    """Cut a span into parts of at most ``max_length`` characters, nothing lost.

    After a comma or the like when there is one in the last third, else at a word border, else (no
    spaces: Chinese, Thai, a long word) between characters as a reader sees them.
    """
    parts: list[Span] = []
    start, end = trimmed(value, span)
    while end - start > max_length:
        cut = _cut_place(value, start, start + max_length)
        parts.append(trimmed(value, (start, cut)))
        start, _ = trimmed(value, (cut, end))
    if end > start:
        parts.append((start, end))
    return parts


def chunks_of(
    text: Text, spans: Sequence[Span], *, max_chunks: int, weights: Weights = "length"
) -> list[Chunk]:
    """Make the chunks of a text out of spans.

    Args:
        text: the text.
        spans: places in it.
        max_chunks: more are refused.
        weights: length weighs a chunk by its share of the text, at most 1 in all; equal by 1.

    Raises:
        ContentError: more than ``max_chunks``.
    """
    if len(spans) > max_chunks:
        raise ContentError(
            f"the text makes {len(spans)} chunks, the limit is {max_chunks}",
            "split the document, or raise max_chunks of the preprocessor",
        )
    parts = [_SPACE.sub(" ", text.value[start:end]) for start, end in spans]
    whole = max(len(text.value.strip()), sum(map(len, parts)), 1)
    return [
        Chunk(
            position=position,
            weight=len(part) / whole if weights == "length" else 1.0,
            span=text.original(span),
            text=part,
            tags=text.tags,
            origins=_part_origins(text, span, part),
        )
        for position, (span, part) in enumerate(zip(spans, parts, strict=True))
    ]


def visible(value: str, spans: Iterable[Span]) -> list[Span]:
    """Return the spans, trimmed, without those in which a reader sees nothing."""
    kept = (trimmed(value, span) for span in spans)
    return [span for span in kept if not is_blank(value[span[0] : span[1]])]


def _decoded(source: Source) -> str:
    if source.data is None:
        raise ContentError(f"the {source.modality} document holds no text", "send it as text")
    try:
        return source.data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ContentError(
            f"the bytes are not UTF-8 text (byte {error.start})", "send the text as UTF-8"
        ) from error


def _cut_place(value: str, start: int, stop: int) -> int:
    """Return the best place to cut in (start, stop]."""
    pauses = [m.end() for m in _PAUSE.finditer(value, start + (stop - start) * 2 // 3, stop)]
    if pauses:
        return int(pauses[-1])
    spaces = [m.start() for m in _SPACE.finditer(value, start + 1, stop + 1)]
    if spaces:
        return int(spaces[-1])
    return _grapheme_border(value, start, stop)


def _grapheme_border(value: str, start: int, stop: int) -> int:
    """Return the last border of a visible character at or before ``stop``, or ``stop``."""
    border = start
    for match in _GRAPHEME.finditer(value, start, min(len(value), stop + 32)):
        if match.end() > stop:
            break
        border = match.end()
    return border if border > start else stop


def _part_origins(text: Text, span: Span, part: str) -> NDArray[np.int32] | None:
    """Return where each character of a chunk's text stands, for the next one in a pipeline."""
    start, end = span
    if text.origins is None and len(part) == end - start:
        return None
    origins = np.arange(start, end, dtype=np.int32)
    if text.origins is not None:
        origins = text.origins[start:end]
    kept = [m.start() for m in _CHARACTER_OR_SPACE.finditer(text.value[start:end])]
    return origins[kept]
