"""Static embeddings: one fixed vector a token, no network to run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from workers.component import Chunk, Encoder, Floats, digest
from workers.errors import OptionError
from workers.models.weights import folder_digest, read_weights
from workers.vectors import text_of, unit_rows

_MATRIX = 2


class StaticEncoder(Encoder):
    """Mean of one fixed vector a token (model2vec, or StaticEmbedding of sentence-transformers).

    Args:
        model_dir: folder with tokenizer.json and a *.safetensors of one matrix.
        normalize: scale vectors to length 1.
    """

    aliases: ClassVar[tuple[str, ...]] = ("StaticEmbedding", "Model2Vec")

    def __init__(self, *, model_dir: str, normalize: bool = True) -> None:
        self.model_dir, self.normalize = model_dir, normalize
        self._table = np.zeros((0, 0), np.float32)
        self._tokenizer: Any = None
        self._digest = ""

    def setup(self) -> None:
        """Read the matrix and the tokenizer."""
        from workers.models.tokens import load_tokenizer  # noqa: PLC0415  (tokenizers is heavy)

        folder = Path(self.model_dir).expanduser()
        try:
            matrices = [array for array in read_weights(folder).values() if array.ndim == _MATRIX]
            self._tokenizer = load_tokenizer(folder)
        except (OSError, ValueError) as error:
            raise OptionError("StaticEncoder", (f"model_dir: {error}",)) from error
        if len(matrices) != 1:
            raise OptionError("StaticEncoder", (f"{folder} holds {len(matrices)} matrices, not 1",))
        self._table = np.asarray(matrices[0], np.float32)
        self.dim = self._table.shape[1]

    def encode(self, chunks: Sequence[Chunk]) -> Floats:
        """Return the mean of each chunk's token vectors."""
        from workers.models.tokens import without_surrogates  # noqa: PLC0415  (as in setup)

        rows = np.zeros((len(chunks), self.dim), np.float32)
        for row, chunk in zip(rows, chunks, strict=True):
            text = without_surrogates(text_of(chunk))
            ids = self._tokenizer.encode(text, add_special_tokens=False).ids
            if ids:
                row[:] = self._table[ids].mean(axis=0)
        return unit_rows(rows) if self.normalize else rows

    def fingerprint(self) -> str:
        """Return the hash of the folder's files and the options."""
        self._digest = self._digest or folder_digest(Path(self.model_dir).expanduser())
        return digest("StaticEncoder", self.version, self._digest, self.normalize)
