"""Encoders of embeddings: what turns the vectors of one encoder into other ones."""

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Rows, Trainable
from workers.errors import ContentError, TrainingError
from workers.vectors import stacked


class Transform(Encoder):
    """An encoder that reads vectors: of chunks' ``array``, or of the encoder before it."""

    inputs = ("embedding",)

    @abstractmethod
    def transform(self, rows: NDArray[np.generic]) -> Rows:
        """Return the new rows, one for each; ``rows`` is (n, d), or masked (n, l, d) of tokens."""

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row a chunk."""
        if not chunks:
            return np.zeros((0, self.dim), self.dtype)
        return self.transform(stacked(chunks))


class TrainedTransform(Trainable, Transform):
    """A transform that learns from rows."""

    @abstractmethod
    def learn(self, rows: NDArray[np.float32]) -> None:
        """Learn from rows (n, d), replacing what was learnt before."""

    def train(self, chunks: Sequence[Chunk]) -> None:
        """Learn from the vectors of the chunks."""
        if not chunks:
            raise TrainingError(self.title, "there is nothing to learn from")
        self.learn(np.asanyarray(stacked(chunks), np.float32))

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row a chunk; NotTrainedError before training."""
        self.require_training()
        return super().encode(chunks)

    @property
    def title(self) -> str:
        """The component's name, for errors."""
        return type(self).names()[0]

    def expect(self, condition: bool, reason: str) -> None:
        """Raise TrainingError with this reason unless the condition holds."""
        if not condition:
            raise TrainingError(self.title, reason)


def require_width(rows: NDArray[np.generic], width: int, title: str) -> None:
    """Raise ContentError unless rows have the width that was learnt."""
    if rows.shape[-1] != width:
        raise ContentError(f"{title} learnt vectors of {width} dimensions, not {rows.shape[-1]}")
