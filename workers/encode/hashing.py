"""Feature hashing of words: no model, nothing to download."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np
import regex

from workers.component import Chunk, Encoder, Floats
from workers.vectors import text_of, unit_rows

_WORD = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}]|[\p{L}\p{M}\p{N}]+")


class HashingEncoder(Encoder):
    """Feature hashing of words: no model, no download; for tests and as a baseline.

    Args:
        dim: length of the vectors; more means fewer words that share a place.
    """

    name = "Hashing"
    aliases = ("CharEmbeddingEncoder",)

    def __init__(self, *, dim: int = 256) -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, not {dim}")
        self.dim = dim

    def encode(self, chunks: Sequence[Chunk]) -> Floats:
        """Return one unit row a chunk: each word (in Chinese, character) adds to its place."""
        rows = np.zeros((len(chunks), self.dim), np.float32)
        for row, chunk in zip(rows, chunks, strict=True):
            for word in _WORD.findall(text_of(chunk).casefold()):
                place = crc32(word.encode())
                row[place % self.dim] += 1 if place & 0x80000000 else -1
        return unit_rows(rows)
