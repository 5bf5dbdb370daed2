"""Windows of a fixed number of words or model tokens, overlapping."""

from bisect import bisect_right
from pathlib import Path
from typing import Any

import regex

from workers.component import Chunk, Preprocessor, Source
from workers.errors import OptionError
from workers.preprocess.texts import Span, Weights, chunks_of, text_from, visible

#: What counts as one token without a model: a character of a script without spaces, or a word.
_TOKEN = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*|"
    r"(?:(?![\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}])\S)+"
)


class TokenWindows(Preprocessor):
    """Windows of a fixed number of tokens, each overlapping the one before.

    A token is a word (a character, where a script has no spaces), or, with ``model_dir``, what
    that model's tokenizer makes; so that windows fit a model.

    Args:
        size: tokens a window.
        overlap: tokens that a window repeats from the one before; fewer than size.
        model_dir: count the tokens of this model folder's tokenizer instead of words.
        weights: what a chunk weighs: its share of the text (length), so that sums compare; or 1
            (equal), for indexes that score a document by its best chunk (max).
        max_chunks: texts that make more chunks are refused.
    """

    aliases = ("tokens",)
    inputs = ("text",)

    def __init__(
        self,
        *,
        size: int = 128,
        overlap: int = 16,
        model_dir: str | None = None,
        weights: Weights = "length",
        max_chunks: int = 4096,
    ) -> None:
        if size < 1 or max_chunks < 1:
            raise ValueError("size and max_chunks must be at least 1")
        if not 0 <= overlap < size:
            raise ValueError(f"overlap {overlap} must be fewer than size {size}")
        self.size, self.overlap, self.max_chunks = size, overlap, max_chunks
        self.model_dir = model_dir
        self.weights: Weights = weights
        self._tokenizer: Any = None

    def setup(self) -> None:
        """Load the model's tokenizer, when there is one."""
        if self.model_dir is None:
            return
        from workers.models.tokens import load_tokenizer  # noqa: PLC0415  (loaded when wanted)

        try:
            self._tokenizer = load_tokenizer(Path(self.model_dir).expanduser())
        except ValueError as error:
            raise OptionError("TokenWindows", (f"model_dir: {error}",)) from error

    def apply(self, source: Source) -> list[Chunk]:
        """Cut one text into windows; the last one holds what is left."""
        text = text_from(source)
        spans = self._windows(text.value, *self._tokens(text.value))
        shown = visible(text.value, spans)
        return chunks_of(text, shown, max_chunks=self.max_chunks, weights=self.weights)

    def _windows(self, value: str, starts: list[int], heads: list[int]) -> list[Span]:
        """Return spans of at most ``size`` tokens, at word borders where there are any.

        Args:
            value: the text.
            starts: where each token starts; what is between tokens belongs to the one before.
            heads: which tokens begin a word, rising.
        """
        places = [0, *starts[1:], len(value)]
        count = len(places) - 1
        spans: list[Span] = []
        first = 0
        while True:
            end = min(first + self.size, count)
            if end < count:
                end = _last(heads, above=first, upto=end)
            spans.append((places[first], places[end]))
            if end == count:
                return spans
            first = _last(heads, above=first, upto=max(end - self.overlap, first + 1))

    def _tokens(self, value: str) -> tuple[list[int], list[int]]:
        """Return where tokens start, and which of them begin a word."""
        if self._tokenizer is None:
            starts = [match.start() for match in _TOKEN.finditer(value)]
            return starts, list(range(len(starts)))
        encoding = self._tokenizer.encode(value, add_special_tokens=False)
        rows = zip(encoding.offsets, encoding.word_ids, strict=True)
        tokens = [(start, word) for (start, end), word in rows if end > start]
        words = [word for _, word in tokens]
        heads = [n for n, word in enumerate(words) if n == 0 or word != words[n - 1]]
        return [start for start, _ in tokens], heads


def _last(heads: list[int], *, above: int, upto: int) -> int:
    """Return the last head in (above, upto]; ``upto`` when there is none."""
    place = bisect_right(heads, upto)
    return heads[place - 1] if place and heads[place - 1] > above else upto
