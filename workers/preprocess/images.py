"""Images cut into chunks: the whole, a grid, sliding windows; boxes in pixels as it is shown."""

import itertools
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError, MissingLibraryError
from workers.preprocess.busyness import shares, unevenness

Box = tuple[int, int, int, int]

#: Larger pictures than this (a 100-megapixel camera's) are refused before they are decoded.
MAX_MEGAPIXELS = 80.0
#: Under this side a picture travels inside of its message.
MAX_SIDE = 384
PILLOW = "pillow==13.0.0"
_CELLS = 3


class ImagePreprocessor(Preprocessor):
    """What cuts pixels; those of a chunk when it stands behind another one."""

    inputs = ("image",)
    max_megapixels: float = MAX_MEGAPIXELS
    max_side: int = 0

    def setup(self) -> None:
        """Load Pillow."""
        title = type(self).names()[0]
        try:
            from workers.models import pictures  # noqa: PLC0415  (Pillow is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, "pillow", PILLOW) from error
        self._pictures = pictures

    def apply(self, source: Source) -> list[Chunk]:
        """Cut the image."""
        if source.array is not None:
            pixels = self._pictures.as_picture(source.array)
            return self.cut(pixels)
        if not source.is_file:
            raise ContentError("this preprocessor reads images", "send the document as image")
        with source.open() as file:
            pixels, size = self._pictures.read_picture(
                file, max_megapixels=self.max_megapixels, max_side=self.max_side
            )
        return [placed(chunk, pixels, size) for chunk in self.cut(pixels)]

    @abstractmethod
    def cut(self, pixels: NDArray[np.uint8]) -> list[Chunk]:
        """Return the chunks of a picture, their boxes in its pixels."""


class WholeImage(ImagePreprocessor):
    """The whole image as one chunk of weight 1, turned as its camera says.

    Of an animation the first frame is taken; what is see-through stands on white.

    Args:
        max_side: larger images are made smaller, to this width or height; 0 keeps them.
        max_megapixels: larger images are refused before they are decoded.
    """

    aliases = ("UnaryImage",)

    def __init__(self, *, max_side: int = MAX_SIDE, max_megapixels: float = MAX_MEGAPIXELS) -> None:
        if max_side < 0 or max_megapixels <= 0:
            raise ValueError("max_side must be at least 0 and max_megapixels over 0")
        self.max_side, self.max_megapixels = max_side, max_megapixels

    def cut(self, pixels: NDArray[np.uint8]) -> list[Chunk]:
        """Return the one chunk."""
        return [Chunk(array=pixels, span=_whole(pixels))]


class ResizeImage(ImagePreprocessor):
    """An image, or each chunk of one, at a fixed size.

    Args:
        target_width: width of the result.
        target_height: height of the result.
        max_megapixels: larger images are refused before they are decoded.
    """

    aliases = ("ResizeChunkPreprocessor",)

    def __init__(
        self,
        *,
        target_width: int = 224,
        target_height: int = 224,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        if min(target_width, target_height) < 1:
            raise ValueError("target_width and target_height must be at least 1")
        self.width, self.height = target_width, target_height
        self.max_megapixels = max_megapixels

    def apply(self, source: Source) -> list[Chunk]:
        """Resize; the chunk keeps the place that the one before gave it."""
        chunks = super().apply(source)
        return chunks if source.array is None else [Chunk(array=chunk.array) for chunk in chunks]

    def cut(self, pixels: NDArray[np.uint8]) -> list[Chunk]:
        """Return the one chunk."""
        small = self._pictures.resized(pixels, self.width, self.height)
        return [Chunk(array=small, span=_whole(pixels))]


class ImageGrid(ImagePreprocessor):
    """An image cut into rows and columns of equal cells, and the whole beside them.

    Args:
        rows: cells above each other.
        columns: cells beside each other.
        with_whole: the whole image is a further chunk, the last.
        max_megapixels: larger images are refused before they are decoded.
    """

    def __init__(
        self,
        *,
        rows: int = _CELLS,
        columns: int = _CELLS,
        with_whole: bool = False,
        max_megapixels: float = MAX_MEGAPIXELS,
    ) -> None:
        if min(rows, columns) < 1:
            raise ValueError("rows and columns must be at least 1")
        self.rows, self.columns, self.with_whole = rows, columns, with_whole
        self.max_megapixels = max_megapixels

    def cut(self, pixels: NDArray[np.uint8]) -> list[Chunk]:
        """Return the cells, row by row."""
        height, width = pixels.shape[:2]
        across = np.linspace(0, width, self.columns + 1).round().astype(int).tolist()
        down = np.linspace(0, height, self.rows + 1).round().astype(int).tolist()
        boxes: list[Box] = [
            (x0, y0, x1, y1)
            for y0, y1 in itertools.pairwise(down)
            for x0, x1 in itertools.pairwise(across)
            if x1 > x0 and y1 > y0
        ]
        if self.with_whole:
            boxes.append((0, 0, width, height))
        cells = [pixels[y0:y1, x0:x1] for x0, y0, x1, y1 in boxes]
        return _chunks(cells, boxes, np.full(len(boxes), 1 / len(boxes)))


class SlidingWindows(ImagePreprocessor):
    """Windows that slide over an image; black fills up at the right and lower edge.

    An image always gets at least one window more than fit into it, as in GNES.

    Args:
        window_size: width and height of a window, in pixels.
        stride_wide: pixels from one window to the next at its right.
        stride_height: pixels from one window to the one below it.
        max_megapixels: larger images are refused before they are decoded.
        max_chunks: an image that makes more windows is refused.
    """

    aliases: ClassVar[tuple[str, ...]] = ("VanillaSlidingPreprocessor",)
    former_options: ClassVar[dict[str, str | None]] = {"target_width": None, "target_height": None}

    def __init__(
        self,
        *,
        window_size: int = 64,
        stride_wide: int = 64,
        stride_height: int = 64,
        max_megapixels: float = MAX_MEGAPIXELS,
        max_chunks: int = 4096,
    ) -> None:
        if min(window_size, stride_wide, stride_height, max_chunks) < 1:
            raise ValueError("window, strides and max_chunks must be at least 1")
        self.window, self.max_chunks = window_size, max_chunks
        self.stride_wide, self.stride_height = stride_wide, stride_height
        self.max_megapixels = max_megapixels

    def cut(self, pixels: NDArray[np.uint8]) -> list[Chunk]:
        """Return the windows, row by row."""
        height, width = pixels.shape[:2]
        right = self.window - width % self.stride_wide
        below = self.window - height % self.stride_height
        lefts = _starts(width + max(right, 0), self.window, self.stride_wide)
        tops = _starts(height + max(below, 0), self.window, self.stride_height)
        if len(lefts) * len(tops) > self.max_chunks:
            found = len(lefts) * len(tops)
            raise ContentError(
                f"the image makes {found} windows, the limit is {self.max_chunks}",
                "use a larger window or stride, or raise max_chunks",
            )
        padded = np.pad(pixels, ((0, max(below, 0)), (0, max(right, 0)), (0, 0)))
        corners = [(x, y) for y in tops for x in lefts]
        cells = [padded[y : y + self.window, x : x + self.window] for x, y in corners]
        boxes: list[Box] = [
            (x, y, max(x, min(x + self.window, width)), max(y, min(y + self.window, height)))
            for x, y in corners
        ]
        return _chunks(cells, boxes, self.weights(cells))

    def weights(self, cells: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return what each window weighs: all the same."""
        return np.full(len(cells), 1 / len(cells))


class WeightedSlidingWindows(SlidingWindows):
    """Windows that slide over an image; those with more in them weigh more.

    A window of one colour has all its pixels in one place of its histogram; the more even the
    histogram, the more there is to see.

    Args:
        window_size: width and height of a window, in pixels.
        stride_wide: pixels from one window to the next at its right.
        stride_height: pixels from one window to the one below it.
        max_megapixels: larger images are refused before they are decoded.
        max_chunks: an image that makes more windows is refused.
    """

    aliases: ClassVar[tuple[str, ...]] = ("WeightedSlidingPreprocessor",)

    def weights(self, cells: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return the softmax over how even the histograms are."""
        return shares(np.array([unevenness(cell) for cell in cells]))


def placed(chunk: Chunk, pixels: NDArray[Any], size: tuple[int, int]) -> Chunk:
    """Return a chunk with its box in pixels of the image as it is shown, (width, height) large."""
    height, width = pixels.shape[:2]
    if (width, height) == size:
        return chunk
    across, down = size[0] / width, size[1] / height
    x0, y0, x1, y1 = chunk.span
    box = (round(x0 * across), round(y0 * down), round(x1 * across), round(y1 * down))
    return replace(chunk, span=box)


def _whole(pixels: NDArray[Any]) -> Box:
    return (0, 0, pixels.shape[1], pixels.shape[0])


def _starts(length: int, window: int, stride: int) -> list[int]:
    return list(range(0, max(length - window, 0) + 1, stride))


def _chunks(
    cells: Sequence[NDArray[Any]], boxes: Sequence[Box], weights: NDArray[np.float64]
) -> list[Chunk]:
    return [
        Chunk(position, weight=weight, span=box, array=np.ascontiguousarray(cell))
        for position, (cell, box, weight) in enumerate(
            zip(cells, boxes, weights.tolist(), strict=True)
        )
    ]
