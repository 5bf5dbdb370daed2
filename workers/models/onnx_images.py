"""The pixels that an ONNX model of images takes: size, order and type, read from the model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats

_AXES, _CHANNELS = 4, 3
_TOKENS = 3  # dimensions of rows of tokens
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}


@dataclass(frozen=True, slots=True)
class PictureInput:
    """The first input of a model.

    Attributes:
        name: its name.
        size: (width, height) of the pictures.
        is_last: whether channels come last.
        batch: how many pictures it takes, no more and no less; 0 for any number.
        dtype: type of its values; uint8 for pixels as they are.
    """

    name: str
    size: tuple[int, int]
    is_last: bool
    batch: int
    dtype: type[Any]

    @classmethod
    def of(cls, session: Any, side: int) -> Self:
        """Read a model's first input; ``side`` is for models that take any size.

        Raises:
            ValueError: it takes no pictures.
        """
        first = session.get_inputs()[0]
        shape, dtype = first.shape, _TYPES.get(first.type)
        if len(shape) != _AXES or dtype is None:
            raise ValueError(
                f"the model's first input {first.name!r} is {first.type} {shape}, which are no"
                " pictures (n, 3, height, width) or (n, height, width, 3)"
            )
        is_last = shape[-1] == _CHANNELS
        height, width = shape[1:3] if is_last else shape[2:4]
        known = [one if isinstance(one, int) else side for one in (width, height)]
        batch = shape[0] if isinstance(shape[0], int) else 0
        return cls(first.name, (known[0], known[1]), is_last, batch, dtype)

    def run(self, session: Any, output: str, pixels: NDArray[Any]) -> Floats:
        """Return a row a picture (n, 3, height, width); a fixed batch is filled up.

        A map of features and a row of tokens are averaged.
        """
        values = pixels.transpose(0, 2, 3, 1) if self.is_last else pixels
        size = self.batch or len(values)
        made: list[Floats] = []
        for start in range(0, len(values), size):
            part = values[start : start + size]
            filled = np.concatenate([part, np.repeat(part[-1:], size - len(part), axis=0)])
            feed = np.ascontiguousarray(filled, dtype=self.dtype)
            (rows,) = session.run([output], {self.name: feed})
            made.append(self._pooled(rows)[: len(part)])
        return np.concatenate(made)

    def _pooled(self, rows: NDArray[Any]) -> Floats:
        axes: Sequence[int] = range(2, rows.ndim)
        if rows.ndim == _TOKENS or (rows.ndim == _AXES and self.is_last):
            axes = range(1, rows.ndim - 1)
        return np.asarray(rows.mean(axis=tuple(axes)) if axes else rows, np.float32)
