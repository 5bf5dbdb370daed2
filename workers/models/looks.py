"""How alike two pictures look: histograms of their colours, and hashes that survive edits."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.models.pictures import Pixels, resized

Descriptor = Literal["rgb_histogram", "hsv_histogram", "block_rgb_histogram", "block_hsv_histogram"]
Distance = Literal["bhattacharyya", "hellinger", "correlation", "chisqr", "intersection"]

#: GNES's spellings.
FORMER: Mapping[str, str] = {"bhattacharya": "bhattacharyya", "hellinguer": "hellinger"}

_BINS = 16
_HASH_SIDE, _HASH_BITS = 32, 8
_TINY = 1e-10


def histogram(pixels: Pixels, *, descriptor: Descriptor, blocks: int = 3) -> NDArray[np.float64]:
    """Return the colours of a picture, (cells, channels * bins), each cell's channels sum to 1.

    The descriptors with block cut the picture into ``blocks`` x ``blocks`` cells first.
    """
    values = hsv(pixels) if "hsv" in descriptor else pixels
    side = blocks if descriptor.startswith("block") else 1
    rows = np.array_split(np.arange(values.shape[0]), side)
    columns = np.array_split(np.arange(values.shape[1]), side)
    cells = [values[r[0] : r[-1] + 1, c[0] : c[-1] + 1] for r in rows for c in columns
             if len(r) and len(c)]  # fmt: skip
    return np.stack([_bins(cell) for cell in cells])


def distance(one: NDArray[np.float64], other: NDArray[np.float64], metric: Distance) -> float:
    """Return how far two histograms are from each other: 0 for equal ones, about 1 at most."""
    if metric in {"bhattacharyya", "hellinger"}:
        shared = np.sqrt(one * other).sum(axis=1) / 3
        return float(np.sqrt(np.clip(1 - shared, 0, None)).mean())
    if metric == "intersection":
        return float(1 - np.minimum(one, other).sum(axis=1).mean() / 3)
    if metric == "chisqr":
        return float((np.square(one - other) / (one + other + _TINY)).sum(axis=1).mean() / 6)
    a, b = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float((1 - (a * b).sum(axis=1) / np.maximum(norm, _TINY)).mean())


def hsv(pixels: Pixels) -> NDArray[np.uint8]:
    """Return hue, saturation and value of every pixel, each 0 to 255."""
    rgb = pixels.astype(np.float32)
    top, low = rgb.max(axis=2), rgb.min(axis=2)
    spread = np.maximum(top - low, _TINY)
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.where(
        top == red,
        (green - blue) / spread % 6,
        np.where(top == green, (blue - red) / spread + 2, (red - green) / spread + 4),
    )
    hue = np.where(top == low, 0, hue) * np.float32(255 / 6)
    saturation = np.where(top > 0, 255 * (top - low) / np.maximum(top, 1), 0)
    return np.asarray(np.clip(np.stack([hue, saturation, top], axis=2), 0, 255), np.uint8)


def perceptual_hash(pixels: Pixels) -> int:
    """Return 64 bits that hardly change with size, brightness or compression.

    The signs of a picture's low frequencies against their median.
    """
    grey = resized(pixels, _HASH_SIDE, _HASH_SIDE).astype(np.float64) @ (0.299, 0.587, 0.114)
    waves = _cosines()
    low = waves @ grey @ waves.T
    bits = (low > np.median(low.reshape(-1)[1:])).reshape(-1)
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def bits_apart(one: int, other: int) -> int:
    """Return in how many bits two hashes differ."""
    return (one ^ other).bit_count()


@cache
def _cosines() -> NDArray[np.float64]:
    places = (np.arange(_HASH_SIDE) + 0.5) * np.pi / _HASH_SIDE
    return np.asarray(np.cos(np.arange(_HASH_BITS)[:, None] * places[None]))


def _bins(cell: NDArray[np.uint8]) -> NDArray[np.float64]:
    count = cell.shape[0] * cell.shape[1]
    channels = [np.bincount(cell[..., c].reshape(-1) >> 4, minlength=_BINS) for c in range(3)]
    return np.asarray(np.concatenate(channels).astype(np.float64) / count)
