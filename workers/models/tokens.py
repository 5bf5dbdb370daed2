"""Tokenising texts for a model: bounded, counted, without threads of its own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import regex
import tokenizers

from workers.component import Tally

_LONE_SURROGATE = regex.compile(r"[\ud800-\udfff]")
#: No model's tokens are longer on average; what is beyond would be cut after being tokenised.
_CHARACTERS_PER_TOKEN = 200

#: What the tally counts: texts that had more tokens than the model takes.
TEXTS_CUT = "texts_cut"


class Tokenizer:
    """The tokenizer of a model folder, cutting at ``max_tokens`` and counting what it cut."""

    def __init__(self, folder: Path, *, max_tokens: int, tally: Tally) -> None:
        self._inner = load_tokenizer(folder)
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
        return without_surrogates(text[: self._max_characters])


def without_surrogates(text: str) -> str:
    """Return a text that UTF-8 can write: lone surrogates become the replacement character."""
    return _LONE_SURROGATE.sub("\ufffd", text)


def load_tokenizer(folder: Path) -> Any:
    """Open a model folder's tokenizer; it neither pads nor cuts, whatever its file says.

    Raises:
        ValueError: the folder holds none.
    """
    found = _from_files(folder)
    found.no_padding()
    found.no_truncation()
    return found


def _from_files(folder: Path) -> Any:
    """Read tokenizer.json, or the vocabulary of BERT or GPT-2."""
    if (folder / "tokenizer.json").is_file():
        return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    if (folder / "vocab.txt").is_file():
        return tokenizers.BertWordPieceTokenizer(
            str(folder / "vocab.txt"), lowercase=_lowercases(folder)
        )
    if (folder / "merges.txt").is_file():
        vocabulary, merges = str(folder / "vocab.json"), str(folder / "merges.txt")
        return tokenizers.ByteLevelBPETokenizer(vocabulary, merges)
    raise ValueError(f"{folder} holds no tokenizer.json, vocab.txt or merges.txt")


def _lowercases(folder: Path) -> bool:
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return bool(config.get("do_lower_case", True))
