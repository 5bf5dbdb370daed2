"""What all encoders of images share: pixels (height, width, 3), or several frames of a shot."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Floats, Rows
from workers.errors import ContentError, MissingLibraryError
from workers.models.batch_size import BatchSize
from workers.vectors import padded_rows, unit_rows

Pixels = NDArray[np.uint8]
Frames = Literal["mean", "max", "none"]
Fit = Literal["squeeze", "crop", "pad"]
Precision = Literal["auto", "float32", "float16", "bfloat16"]

_SHOT = 4  # dimensions of several frames
#: Pictures that are made ready and run at once: enough to be fast, few enough for small machines.
_BATCH = 16


class PictureEncoder(Encoder):
    """What encodes pictures by a network; of a shot it gives the mean of its frames' rows."""

    inputs: ClassVar[tuple[Any, ...]] = ("image", "video")
    frames: Frames = "mean"
    batches: BatchSize

    def setup(self) -> None:
        """Load Pillow and the network."""
        title = type(self).names()[0]
        try:
            from workers.models import pictures  # noqa: PLC0415  (Pillow is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, "pillow", "pillow==13.0.0") from error
        self._pictures = pictures
        self.batches = BatchSize(_BATCH)

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk; with frames none, a row a frame of it."""
        shots = [self._shot(chunk) for chunk in chunks]
        if not shots:
            return np.zeros((0, self.dim), np.float32)
        flat = [frame for shot in shots for frame in shot]
        rows = self.batches.run(self.rows, flat)
        parts = np.split(rows, np.cumsum([len(shot) for shot in shots])[:-1])
        if self.frames == "none":
            return padded_rows([unit_rows(part) for part in parts])
        pooled = [part.max(axis=0) if self.frames == "max" else part.mean(axis=0) for part in parts]
        return unit_rows(np.stack(pooled))

    @abstractmethod
    def rows(self, pictures: Sequence[Pixels]) -> Floats:
        """Return one row a picture, of any length."""

    def scaled(
        self,
        pictures: Sequence[Pixels],
        size: tuple[int, int],
        mean: Sequence[float],
        spread: Sequence[float],
    ) -> Floats:
        """Return pictures of one (width, height), values in [0, 1] minus mean over spread, nchw."""
        small = np.stack([self._pictures.resized(picture, *size) for picture in pictures])
        factor = np.float32(1 / 255) / np.asarray(spread, np.float32)
        offset = np.asarray(mean, np.float32) / np.asarray(spread, np.float32)
        return np.ascontiguousarray((small * factor - offset).transpose(0, 3, 1, 2))

    def _shot(self, chunk: Chunk) -> list[Pixels]:
        if chunk.array is None or not chunk.array.size:
            raise ContentError("this encoder reads images", "put an image preprocessor before it")
        frames = chunk.array if chunk.array.ndim == _SHOT else chunk.array[None]
        return [self._pictures.as_picture(frame) for frame in frames]


def fitted_to(picture: Pixels, fit: Fit) -> Pixels:
    """Return a picture as the square that is made smaller: itself, its middle, or padded."""
    if fit == "crop":
        return middle(picture)
    return squared(picture) if fit == "pad" else picture


def middle(picture: Pixels) -> Pixels:
    """Return the largest square in the middle of a picture."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])


def squared(picture: Pixels) -> Pixels:
    """Return a picture as a square, filled up in its border's colour: nothing is squeezed."""
    height, width = picture.shape[:2]
    if height == width:
        return picture
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.median(np.concatenate(edges), axis=0)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square
