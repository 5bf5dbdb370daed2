"""Tokenising texts for a model: bounded, counted, without threads of its own."""

from collections.abc import Sequence
from pathlib import Path

import regex
import tokenizers

from workers.component import Tally

_LONE_SURROGATE = regex.compile(r"[\ud800-\udfff]")
#: No model's tokens are longer on average; what is beyond would be cut after being tokenised.
_CHARACTERS_PER_TOKEN = 200

#: What the tally counts: texts that had more tokens than the model takes.
TEXTS_CUT = "texts_cut"


class Tokenizer:
    """A fast tokenizer file, cutting at ``max_tokens`` and counting what it cut."""

    def __init__(self, file: Path, *, max_tokens: int, tally: Tally) -> None:
        self._inner = tokenizers.Tokenizer.from_file(str(file))
        self._inner.no_padding()
        self._inner.enable_truncation(max_tokens)
        self._max_characters = max_tokens * _CHARACTERS_PER_TOKEN
        self._tally = tally

    def ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the token ids of each text, with the model's special tokens.

        One text after another: the library's own batches start a thread a core, which would
        fight with the other workers of the host.
        """
        encodings = [self._inner.encode(self._safe(text)) for text in texts]
        cut = sum(
            bool(encoding.overflowing) or len(text) > self._max_characters
            for encoding, text in zip(encodings, texts, strict=True)
        )
        if cut:
            self._tally.add(TEXTS_CUT, cut)
        return [encoding.ids or [0] for encoding in encodings]

    def _safe(self, text: str) -> str:
        return _LONE_SURROGATE.sub("\ufffd", text[: self._max_characters])
