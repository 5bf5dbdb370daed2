"""Sentences: texts of all scripts cut where a sentence ends, long ones again at word borders."""

from itertools import pairwise

import regex

from workers.component import Chunk, Preprocessor, Source
from workers.preprocess.json_fields import json_content
from workers.preprocess.texts import Span, Text, Weights, chunks_of, cut_long, text_from, visible

_CLOSERS = r"[\p{Pe}\p{Pf}\"']*"
_END = regex.compile(rf"([\p{{STerm}}\u2026]+)({_CLOSERS})")
#: A blank line, a form feed, or the beginning of a list item ends a sentence too.
_BREAK = regex.compile(
    r"(?:\r?\n[ \t]*){2,}|\f|\u2029|\n(?=[ \t]*(?:[-*\u2022\u2023\u25e6]|\d{1,3}[.)])[ \t])"
)
#: Terminators that also stand inside words and numbers; all others always end a sentence.
_SOFT = frozenset(".\uff0e\u2026!?")
_DOTS = frozenset(".\uff0e")
_UNSPACED = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]"
)
_CAPITAL = regex.compile(r"\p{Lu}")
_NEXT_VISIBLE = regex.compile(r"\s*[\p{Ps}\p{Pi}\"']*(.)", regex.DOTALL)
_TOKEN = regex.compile(r"[\p{L}\p{M}][\p{L}\p{M}.]*$")
#: Longest token that can be an abbreviation, with its inner dots.
_TOKEN_LENGTH = 12
_ABBREVIATIONS = frozenset(
    regex.findall(
        r"\S+",
        """
        mr mrs ms dr prof sr jr st vs fig figs eq eqs ref refs sec ch vol nos pp ed eds approx ca
        cf inc ltd co corp dept univ gen col sgt capt cpt lt cmdr adm rev hon gov sen rep pres mt
        ft jan feb mar apr jun jul aug sep sept oct nov dec al viz resp bzw ggf evtl vgl bd nr str
        abb tab zb usw mme mlle sra srta dra ing dipl
        """,
    )
)


class SentenceSplitter(Preprocessor):
    """Cuts a text into sentences, of any script; nothing of the text is lost.

    A sentence ends at its script's terminator (with closing quotes), at a blank line or a list
    item; not inside numbers, after initials or common abbreviations. Chunks keep their character
    span in the original; line breaks inside a sentence become one space.

    Args:
        min_length: shorter sentences are joined to their neighbour, in characters.
        max_length: longer sentences are cut into several chunks at pauses or word borders.
        sentences: sentences a chunk, as long as they fit into max_length.
        overlap: sentences that a chunk repeats from the one before; fewer than sentences.
        terminators: characters that end a sentence, instead of those of all scripts.
        weights: what a chunk weighs: its share of the text (length), so that sums compare; or 1
            (equal), for indexes that score a document by its best chunk (max).
        max_chunks: texts that make more chunks are refused.
        is_json: the text is a JSON object; its field Content is cut, the rest become tags.
    """

    aliases = ("sentences", "SentSplitPreprocessor", "TextPreprocessor")
    inputs = ("text",)
    former_options = {  # noqa: RUF012  (declared ClassVar in the base)
        "min_sent_len": "min_length",
        "max_sent_len": "max_length",
        "deliminator": "terminators",
        "start_doc_id": None,
        "random_doc_id": None,
    }

    def __init__(  # noqa: PLR0913  (each is an option of YAML)
        self,
        *,
        min_length: int = 3,
        max_length: int = 256,
        sentences: int = 1,
        overlap: int = 0,
        terminators: str | None = None,
        weights: Weights = "length",
        max_chunks: int = 4096,
        is_json: bool = False,
    ) -> None:
        if not 0 <= min_length <= max_length:
            raise ValueError(f"min_length {min_length} must lie in 0..max_length {max_length}")
        if max_length < 1 or max_chunks < 1:
            raise ValueError("max_length and max_chunks must be at least 1")
        if not 0 <= overlap < max(sentences, 1):
            raise ValueError(f"overlap {overlap} must be fewer than sentences {sentences}")
        self.min_length = min_length
        self.max_length = max_length
        self.sentences = max(sentences, 1)
        self.overlap = overlap
        self.weights: Weights = weights
        self.max_chunks = max_chunks
        self.is_json = is_json
        self._own_end = _terminator_pattern(terminators)

    def apply(self, source: Source) -> list[Chunk]:
        """Cut one text into chunks of about a sentence each."""
        text = text_from(json_content(source, "Content") if self.is_json else source)
        spans = self._sentences(text)
        parts = [part for span in spans for part in cut_long(text.value, span, self.max_length)]
        spans = self._windows(visible(text.value, parts))
        return chunks_of(text, spans, max_chunks=self.max_chunks, weights=self.weights)

    def _sentences(self, text: Text) -> list[Span]:
        """Return the spans of the sentences, short ones joined to a neighbour."""
        value = text.value
        if self._own_end is None:
            ends = _boundaries(value)
        else:
            ends = [m.end() for m in self._own_end.finditer(value)]
        borders = sorted({0, *ends, *(m.end() for m in _BREAK.finditer(value)), len(value)})
        return self._joined(visible(value, pairwise(borders)))

    def _joined(self, spans: list[Span]) -> list[Span]:
        """Join sentences below ``min_length`` to the next one, the last to the one before."""
        joined: list[Span] = []
        for place, span in enumerate(spans):
            is_last = place + 1 == len(spans)
            if joined and self._may_join(joined[-1], span, is_last=is_last):
                joined[-1] = (joined[-1][0], span[1])
            else:
                joined.append(span)
        return joined

    def _may_join(self, left: Span, right: Span, *, is_last: bool) -> bool:
        is_short = left[1] - left[0] < self.min_length
        is_short = is_short or (is_last and right[1] - right[0] < self.min_length)
        return is_short and right[1] - left[0] <= self.max_length

    def _windows(self, spans: list[Span]) -> list[Span]:
        """Return runs of ``sentences`` spans that fit into ``max_length``, overlapping."""
        windows: list[Span] = []
        first = 0
        while first < len(spans):
            last = first
            while last + 1 < len(spans) and last + 1 - first < self.sentences:
                if spans[last + 1][1] - spans[first][0] > self.max_length:
                    break
                last += 1
            windows.append((spans[first][0], spans[last][1]))
            if last + 1 == len(spans):
                break
            first = max(first + 1, last + 1 - self.overlap)
        return windows


def _terminator_pattern(terminators: str | None) -> "regex.Pattern[str] | None":
    """Return the pattern of a run of the user's own terminators.

    GNES took a list of characters or a pattern such as ``[.!?]+``; both mean these characters.
    """
    if terminators is None:
        return None
    characters = terminators.removesuffix("+").removeprefix("[").removesuffix("]")
    if not characters:
        raise ValueError("terminators must name at least one character")
    return regex.compile(rf"[{regex.escape(characters)}]+{_CLOSERS}")


def _boundaries(value: str) -> list[int]:
    """Return where sentences end, behind the terminator and its closing quotes."""
    has_capitals = _CAPITAL.search(value) is not None
    return [m.end() for m in _END.finditer(value) if _ends_sentence(value, m, has_capitals)]


def _ends_sentence(value: str, match: "regex.Match[str]", has_capitals: bool) -> bool:
    run, closers = match.group(1), match.group(2)
    if not _SOFT.issuperset(run):
        return True
    after = value[match.end() : match.end() + 1]
    if after and not after.isspace() and not _UNSPACED.match(after):
        return False
    if _DOTS.issuperset(run) or run.endswith("\u2026") or closers:
        if has_capitals and _next_is_lower(value, match.end()):
            return value[match.start() - 1 : match.start()].isspace() and not closers
        return not (len(run) == 1 and run in _DOTS and _is_abbreviation(value, match.start()))
    return True


def _next_is_lower(value: str, place: int) -> bool:
    following = _NEXT_VISIBLE.match(value, place)
    return following is not None and bool(following.group(1).islower())


def _is_abbreviation(value: str, dot: int) -> bool:
    """Say whether the word before a dot is an initial, has inner dots, or is a known one."""
    if _NEXT_VISIBLE.match(value, dot + 1) is None:
        return False  # the last word of all ends the sentence whatever it is
    token = _TOKEN.search(value, max(0, dot - _TOKEN_LENGTH), dot)
    if token is None:
        return False
    word = token.group()
    starts_word = token.start() == 0 or not value[token.start() - 1].isalnum()
    is_initial = len(word) == 1 and (word.isupper() or word in "pcvn") and word != "I"
    return starts_word and (is_initial or "." in word or word.casefold() in _ABBREVIATIONS)
