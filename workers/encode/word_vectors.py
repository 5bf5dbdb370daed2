"""Word vectors from a text file, such as word2vec, GloVe or fastText write."""

import hashlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import regex

from workers.component import Chunk, Encoder, Floats, digest
from workers.errors import OptionError
from workers.models.model_folder import Pooling
from workers.models.pooling import pool
from workers.vectors import text_of, unit_rows

_WORD = regex.compile(
    r"[\p{Han}\p{Hiragana}\p{Katakana}]+|[\p{L}\p{M}\p{N}]+(?:['\u2019-][\p{L}\p{M}\p{N}]+)*"
)
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]")
#: Longest word looked for where a script has no spaces.
_LONGEST = 6
#: Lines parsed at a time; bounds the memory of their text.
_LINES = 20_000


class WordVectors(Encoder):
    """Pooled word vectors from a text file (word2vec, GloVe, fastText format).

    Words are looked up as written, then in lower case; unknown words count nothing. Chinese and
    Japanese texts are cut into the longest words that the file knows.

    Args:
        path: the file; a line is a word and its numbers, a first line of two numbers is skipped.
        dim: length of the vectors in the file; mean-max makes them twice as long.
        pooling: mean, max or mean-max over the words of a chunk.
        max_words: read only so many lines; such files list frequent words first.
        normalize: scale vectors to length 1.
    """

    aliases: ClassVar[tuple[str, ...]] = ("Word2VecEncoder", "GloVe")
    former_options: ClassVar[dict[str, str | None]] = {
        "model_dir": "path",
        "dimension": "dim",
        "pooling_strategy": "pooling",
        "skiprows": None,
    }
    dim_doubling = ("mean-max",)

    def __init__(
        self,
        *,
        path: str,
        dim: int = 300,
        pooling: Literal["mean", "max", "mean-max"] = "mean",
        max_words: int | None = None,
        normalize: bool = True,
    ) -> None:
        self.path, self.max_words, self.normalize = path, max_words, normalize
        self._pooling: Pooling = pooling
        self._width = dim
        self.dim = dim * (2 if pooling in self.dim_doubling else 1)
        self._places: dict[str, int] = {}
        self._table = np.zeros((0, dim), np.float32)
        self._digest = ""

    def setup(self) -> None:
        """Read the file."""
        words: list[str] = []
        parts: list[Floats] = []
        try:
            with Path(self.path).expanduser().open(encoding="utf-8", errors="replace") as lines:
                for some in _batches(islice(lines, self.max_words)):
                    block = [line for line in some if line.count(" ") > 1]
                    words += [line.split(" ", 1)[0] for line in block]
                    parts.append(_numbers(block, self._width))
        except (OSError, ValueError) as error:
            raise OptionError("WordVectors", (f"path {self.path!r}: {error}",)) from error
        self._table = np.concatenate([np.zeros((0, self._width), np.float32), *parts])
        self._places = {word: place for place, word in reversed(list(enumerate(words)))}

    def encode(self, chunks: Sequence[Chunk]) -> Floats:
        """Return the pooled vectors of each chunk's words."""
        found = [self._rows_of(text_of(chunk)) for chunk in chunks]
        pooled = [self._pooled(places) for places in found]
        rows = np.array(pooled, np.float32).reshape(len(chunks), self.dim)
        return unit_rows(rows) if self.normalize else rows

    def fingerprint(self) -> str:
        """Return the hash of the file and the options."""
        if not self._digest:
            with Path(self.path).expanduser().open("rb") as stream:
                self._digest = hashlib.file_digest(stream, "sha256").hexdigest()[:16]
        shaping = {k: v for k, v in self.shaping_options().items() if k != "path"}
        return digest("WordVectors", self.version, self._digest, shaping)

    def _pooled(self, places: list[int]) -> Floats:
        if not places:
            return np.zeros(self.dim, np.float32)
        words = self._table[places][None]
        return np.asarray(pool(words, np.ones((1, len(places))), how=self._pooling)[0])

    def _rows_of(self, text: str) -> list[int]:
        """Return the rows of the words of a text that the file knows."""
        words = (part for word in _WORD.findall(text) for part in self._parts(word))
        known = (self._places.get(word, self._places.get(word.lower())) for word in words)
        return [place for place in known if place is not None]

    def _parts(self, word: str) -> Iterator[str]:
        """Yield a word itself; without spaces the longest words of the file, one after another."""
        start = 0
        if word in self._places or not _UNSPACED.match(word):
            yield word
            return
        while start < len(word):
            sizes = range(min(_LONGEST, len(word) - start), 1, -1)
            size = next((n for n in sizes if word[start : start + n] in self._places), 1)
            yield word[start : start + size]
            start += size


def _batches(lines: Iterator[str]) -> Iterator[list[str]]:
    while block := [line.rstrip("\n ") for line in islice(lines, _LINES)]:
        yield block


def _numbers(block: list[str], width: int) -> Floats:
    """Parse the numbers of some lines, float32 (n, width)."""
    values = np.fromstring(" ".join(line.split(" ", 1)[1] for line in block), np.float32, sep=" ")
    if len(values) != len(block) * width:
        raise ValueError(f"its vectors are not of {width} dimensions; set dim")
    return values.reshape(len(block), width)
