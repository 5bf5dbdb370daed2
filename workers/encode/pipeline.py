"""Encoders one after another, and beside each other."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Rows, State, Trainable
from workers.encode.transform import Transform
from workers.reduce_ops.embeddings import averaged, concatenated


class _Group(Trainable, Encoder):
    """What chains and parallels share: set-up, state and fingerprint of their components."""

    former_options: ClassVar[dict[str, str | None]] = {}

    def __init__(self, components: Sequence[Encoder]) -> None:
        if not components:
            raise ValueError("at least one component is needed")
        self.components = tuple(components)
        self.inputs = self.components[0].inputs  # type: ignore[misc]  # as its first one's
        self._trained_here: set[int] = set()

    def setup(self) -> None:
        """Set all components up."""
        for component in self.components:
            component.setup()

    @property
    def is_trained(self) -> bool:  # type: ignore[override]  # follows from the components
        """Whether every component that learns has learnt."""
        return all(part.is_trained for _, part in self._learners())

    def state(self) -> State:
        """Return the states of the components, their names prefixed by the component's place."""
        return {
            f"{place}.{name}": array
            for place, part in self._learners()
            for name, array in part.state().items()
        }

    def load_state(self, state: State) -> None:
        """Hand every component its part of the state."""
        parts: dict[int, dict[str, NDArray[Any]]] = {}
        for name, array in state.items():
            prefix, _, rest = name.partition(".")
            parts.setdefault(int(prefix), {})[rest] = array
        for place, part in self._learners():
            if place in parts:
                part.load_state(parts[place])
                self._trained_here.add(place)

    def fingerprint(self) -> str:
        """Return the hash of all components."""
        return super(Trainable, self).fingerprint()

    def _learners(self) -> list[tuple[int, Trainable]]:
        return [
            (place, part)
            for place, part in enumerate(self.components)
            if isinstance(part, Trainable)
        ]

    def _learn(self, place: int, chunks: Sequence[Chunk]) -> None:
        """Train a component, unless it was trained before it came here."""
        part = self.components[place]
        if not isinstance(part, Trainable):
            return
        if not part.is_trained or place in self._trained_here:
            part.train(chunks)
            self._trained_here.add(place)


class EncoderPipeline(_Group):
    """Runs encoders one after another; what YAML writes as a list.

    The first reads chunks, each further one the vectors of the one before. Training goes the same
    way: each learns from what those before it make; one that was trained elsewhere stays as it is.

    Args:
        components: the encoders, in order.
    """

    aliases = ("PipelineEncoder",)

    def __init__(self, *, components: Sequence[Encoder]) -> None:
        super().__init__(components)

    @property
    def dim(self) -> int:  # type: ignore[override]  # follows from the last component
        """Dimension of the last component's vectors."""
        return self.components[-1].dim

    @property
    def dtype(self) -> str:  # type: ignore[override]  # follows from the last component
        """Type of the last component's values."""
        return self.components[-1].dtype

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return what the last component makes of it."""
        self.require_training()
        if not chunks:
            return np.zeros((0, self.dim), self.dtype)
        rows = self.components[0].encode(chunks)
        for component in self.components[1:]:
            rows = _further(component, rows)
        return rows

    def train(self, chunks: Sequence[Chunk]) -> None:
        """Train each component on what those before it make of the chunks."""
        current = list(chunks)
        for place, component in enumerate(self.components):
            self._learn(place, current)
            if place + 1 < len(self.components):
                current = _tagged(_as_chunks(component.encode(current)), current)


class ConcatEncoder(_Group):
    """Runs encoders beside each other and joins their vectors, one after the other.

    Args:
        components: the encoders; all read the same chunks.
    """

    aliases = ("Concat",)

    def __init__(self, *, components: Sequence[Encoder]) -> None:
        super().__init__(components)

    @property
    def dim(self) -> int:  # type: ignore[override]  # follows from the components
        """The sum of the components' dimensions."""
        return sum(component.dim for component in self.components)

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return the joined vectors, (n, sum of dims)."""
        return concatenated([component.encode(chunks) for component in self.components])

    def train(self, chunks: Sequence[Chunk]) -> None:
        """Train each component on the same chunks."""
        for place in range(len(self.components)):
            self._learn(place, chunks)


class AverageEncoder(ConcatEncoder):
    """Runs encoders beside each other and averages their vectors.

    Args:
        components: the encoders; all read the same chunks and give the same dimension.
    """

    aliases = ("Average",)

    @property
    def dim(self) -> int:  # type: ignore[override]  # as above
        """Dimension of each component's vectors."""
        return self.components[0].dim

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return the mean vectors, (n, d)."""
        return averaged([component.encode(chunks) for component in self.components])


def _further(component: Encoder, rows: Rows) -> Rows:
    """Give the vectors of one encoder to the next."""
    if isinstance(component, Transform):
        return component.transform(rows)
    return component.encode(_as_chunks(rows))


def _tagged(chunks: Sequence[Chunk], sources: Sequence[Chunk]) -> list[Chunk]:
    """Return chunks with the tags of what they were made of: some components learn from them."""
    return [replace(chunk, tags=source.tags) for chunk, source in zip(chunks, sources, strict=True)]


def _as_chunks(rows: Rows) -> list[Chunk]:
    """Return rows as chunks; of a masked sequence only what is no padding."""
    if isinstance(rows, np.ma.MaskedArray) and rows.ndim > 2:  # noqa: PLR2004  (n, l, d)
        lengths = (~np.ma.getmaskarray(rows)[:, :, 0]).sum(axis=1)
        values = np.ma.getdata(rows)
        return [
            Chunk(i, array=row[:length])
            for i, (row, length) in enumerate(zip(values, lengths, strict=True))
        ]
    return [Chunk(position, array=row) for position, row in enumerate(rows)]
