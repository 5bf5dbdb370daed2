"""The tokenizer of CLIP that clip-anytorch carries; needs ftfy and regex, and no torch."""

import importlib.util
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from workers.models.clip_towers import PACKAGE, package_file


class Tokenizer:
    """Begin, the pieces of a text, end, zeros."""

    def __init__(self) -> None:
        self._pieces = part("simple_tokenizer").SimpleTokenizer()
        self._start, self._end = (
            self._pieces.encoder[f"<|{word}oftext|>"] for word in ("start", "end")
        )

    def __call__(self, texts: Sequence[str], length: int) -> tuple[NDArray[np.int64], int]:
        """Return tokens int64 (n, length), and how many texts were cut."""
        tokens = np.zeros((len(texts), length), np.int64)
        cut = 0
        for row, text in zip(tokens, texts, strict=True):
            ids = self._pieces.encode(text)
            cut += len(ids) > length - 2
            ids = [self._start, *ids[: length - 2], self._end]
            row[: len(ids)] = ids
        return tokens, cut


def part(name: str) -> ModuleType:
    """Load one file of the package, without the package.

    Raises:
        ModuleNotFoundError: the package, or what the file needs, is not installed.
    """
    path = package_file(name)
    spec = importlib.util.spec_from_file_location(f"gnes_clip_{name}", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{path} cannot be loaded", name=PACKAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
