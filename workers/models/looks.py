"""How alike two pictures look: colours, edges, and hashes that survive edits."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from workers.models.pictures import Pixels, resized

Descriptor = Literal[
    "rgb_histogram", "hsv_histogram", "block_rgb_histogram", "block_hsv_histogram",
    "pyramid_rgb_histogram", "pyramid_hsv_histogram", "canny_edge",
]  # fmt: skip
Distance = Literal[
    "bhattacharyya", "hellinger", "correlation", "chisqr", "chisqr_alt", "intersection", "kl_div",
    "edge_change_ratio",
]  # fmt: skip
Look = NDArray[np.float64]

#: GNES's spellings.
FORMER: Mapping[str, str] = {
    "bhattacharya": "bhattacharyya", "hellinguer": "hellinger",
    "edge_change_ration": "edge_change_ratio",
}  # fmt: skip

_BINS = 16
_HASH_SIDE, _HASH_BITS = 32, 8
_CHANNELS = 3
_TINY = 1e-10


def look(pixels: Pixels, *, descriptor: Descriptor, blocks: int = 3, levels: int = 2) -> Look:
    """Return what of a picture is compared, a row a cell.

    Histograms hold channels * bins numbers, those of a channel sum to 1. The descriptors with
    block cut the picture into ``blocks`` x ``blocks`` cells, those with pyramid into 1, 2 x 2, ...
    up to 2**levels x 2**levels cells at once. Edges are a row a row of pixels, 1 where one is.
    """
    if descriptor == "canny_edge":
        return edges(pixels)
    values = hsv(pixels) if "hsv" in descriptor else pixels
    sides = [blocks] if descriptor.startswith("block") else [1]
    if descriptor.startswith("pyramid"):
        sides = [2**level for level in range(levels + 1)]
    return np.stack([_bins(cell) for side in sides for cell in _cells(values, side)])


def distance(one: Look, other: Look, metric: Distance) -> float:
    """Return how far two looks are from each other: 0 for equal ones, about 1 at most.

    Pictures of different sizes have nothing in common, as far as edges go.
    """
    if one.shape != other.shape:
        return 1.0
    return float(_DISTANCES[metric](one, other))


def edge_change_ratio(one: Look, other: Look, reach: int = 2) -> float:
    """Return the share of edges that came or went, whichever is more.

    An edge within ``reach`` pixels of one before has only moved.
    Source: Zabih, Miller, Mai, "A feature-based algorithm for detecting scene breaks" (1995).
    """
    went = (one * (1 - _grown(other, reach))).sum() / max(one.sum(), 1.0)
    came = (other * (1 - _grown(one, reach))).sum() / max(other.sum(), 1.0)
    return float(max(went, came))


def edges(pixels: Pixels) -> Look:
    """Return 1 where brightness changes at once, thinned to the middle of the change.

    Sobel's gradient, kept where it is a maximum along its direction and well above the mean.
    """
    grey = pixels.astype(np.float64) @ (0.299, 0.587, 0.114)
    padded = np.pad(grey, 1, mode="edge")
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    x = across[:-2] + 2 * across[1:-1] + across[2:]
    y = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    strength = np.hypot(x, y)
    is_top = np.where(np.abs(x) >= np.abs(y), _is_peak(strength, 1), _is_peak(strength, 0))
    return (is_top & (strength > max(2 * float(strength.mean()), 32.0))).astype(np.float64)


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


def _cells(values: NDArray[np.uint8], side: int) -> list[NDArray[np.uint8]]:
    rows = np.array_split(np.arange(values.shape[0]), side)
    columns = np.array_split(np.arange(values.shape[1]), side)
    return [
        values[r[0] : r[-1] + 1, c[0] : c[-1] + 1]
        for r in rows
        for c in columns
        if len(r) and len(c)
    ]


def _bins(cell: NDArray[np.uint8]) -> Look:
    count = cell.shape[0] * cell.shape[1]
    channels = [np.bincount(cell[..., c].reshape(-1) >> 4, minlength=_BINS) for c in range(3)]
    return np.asarray(np.concatenate(channels).astype(np.float64) / count)


def _is_peak(values: Look, axis: int) -> NDArray[np.bool_]:
    """Tell where a value is no smaller than its neighbours along an axis."""
    wide = np.pad(values, [(1, 1) if at == axis else (0, 0) for at in range(2)])
    before = np.take(wide, range(values.shape[axis]), axis)
    behind = np.take(wide, range(2, values.shape[axis] + 2), axis)
    return np.asarray((values >= before) & (values > behind))


def _grown(edge: Look, reach: int) -> Look:
    """Return 1 within ``reach`` pixels of an edge."""
    height, width = edge.shape
    wide = np.pad(edge, reach)
    grown = np.zeros_like(edge)
    for y in range(2 * reach + 1):
        for x in range(2 * reach + 1):
            np.maximum(grown, wide[y : y + height, x : x + width], out=grown)
    return grown


def _hellinger(one: Look, other: Look) -> float:
    shared = np.sqrt(one * other).sum(axis=1) / _CHANNELS
    return float(np.sqrt(np.clip(1 - shared, 0, None)).mean())


def _correlation(one: Look, other: Look) -> float:
    a, b = one - one.mean(axis=1, keepdims=True), other - other.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float((1 - (a * b).sum(axis=1) / np.maximum(norm, _TINY)).mean())


def _chi_square(one: Look, other: Look) -> float:
    return float((np.square(one - other) / (one + other + _TINY)).sum(axis=1).mean() / 6)


def _chi_square_from(one: Look, other: Look) -> float:
    """Return Pearson's statistic, which counts from the first; bounded, as bins may be empty."""
    raw = (np.square(one - other) / np.maximum(one, 1 / 256)).sum(axis=1).mean() / _CHANNELS
    return float(raw / (1 + raw))


def _intersection(one: Look, other: Look) -> float:
    return float(1 - np.minimum(one, other).sum(axis=1).mean() / _CHANNELS)


def _divergence(one: Look, other: Look) -> float:
    """Return Kullback and Leibler's divergence, bounded to [0, 1)."""
    a, b = one + 1e-4, other + 1e-4
    raw = max(0.0, float((a * np.log(a / b)).sum(axis=1).mean() / _CHANNELS))
    return 1 - float(np.exp(-raw))


_DISTANCES: Mapping[Distance, Callable[[Look, Look], float]] = {
    "bhattacharyya": _hellinger,
    "hellinger": _hellinger,
    "correlation": _correlation,
    "chisqr": _chi_square,
    "chisqr_alt": _chi_square_from,
    "intersection": _intersection,
    "kl_div": _divergence,
    "edge_change_ratio": edge_change_ratio,
}
