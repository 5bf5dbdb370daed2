"""What all models of text share: tokens, batches of like length, pooling."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats, Tally
from workers.models.batches import Ints, length_sorted, padded
from workers.models.model_folder import ModelFolder, Pooling
from workers.models.pooling import pool
from workers.models.tokens import Tokenizer

Hidden = NDArray[Any]


class TextModel(ABC):
    """A model with its tokenizer, shared by the threads of a process.

    Attributes:
        hidden: dimension of its token vectors.
        pad: the token id that fills short rows.
    """

    hidden: int
    pad: int = 0

    def __init__(self, folder: ModelFolder, *, max_tokens: int, tally: Tally) -> None:
        self._tokenizer = Tokenizer(folder.path, max_tokens=max_tokens, tally=tally)

    @abstractmethod
    def hidden_states(self, tokens: Ints, mask: Ints) -> Hidden:
        """Return the last layer, float (n, l, d), for token ids and mask, int64 (n, l)."""

    def means(self, tokens: Ints, mask: Ints) -> Floats:
        """Return the mean over the tokens; a model that can do it itself overrides this."""
        return pool(self.hidden_states(tokens, mask), mask, how="mean")

    def embed(self, texts: Sequence[str], *, pooling: Pooling, budget: int) -> Floats:
        """Return one pooled vector a text, in the order given.

        Args:
            texts: any number.
            pooling: how tokens become one vector.
            budget: padded tokens a batch; bounds the memory.
        """
        rows = np.zeros((len(texts), self.hidden * (1 + (pooling == "mean-max"))), np.float32)
        for batch, tokens, mask in self._batches(texts, budget):
            if pooling == "mean":
                rows[batch] = self.means(tokens, mask)
            else:
                rows[batch] = pool(self.hidden_states(tokens, mask), mask, how=pooling)
        return rows

    def token_vectors(self, texts: Sequence[str], *, budget: int) -> list[Floats]:
        """Return the vectors of each text's tokens, (l, d), in the order given."""
        found: list[Floats] = [np.zeros((0, self.hidden), np.float32)] * len(texts)
        for batch, tokens, mask in self._batches(texts, budget):
            hidden = np.asarray(self.hidden_states(tokens, mask), np.float32)
            for place, row in enumerate(batch):
                found[row] = hidden[place, : mask[place].sum()]
        return found

    def _batches(self, texts: Sequence[str], budget: int) -> Iterator[tuple[list[int], Ints, Ints]]:
        ids = self._tokenizer.ids(texts)
        for batch in length_sorted([len(sequence) for sequence in ids], budget=budget):
            yield batch, *padded([ids[row] for row in batch], pad=self.pad)
