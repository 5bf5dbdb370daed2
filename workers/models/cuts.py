"""Where a film is cut, from how far each frame is from the one before."""

import numpy as np
from numpy.typing import NDArray

Jumps = NDArray[np.float64]

_ROUNDS = 100
_CLEARLY = 3.0  # times the usual jump: what two clusters of a film without cuts do not reach
_LEAST = 0.05


def by_clusters(jumps: Jumps, *, min_dist: int) -> list[int]:
    """Return the frames at which shots begin: jumps fall into two clusters, cuts into the upper.

    Source: 2-means in one dimension (Lloyd, 1982).
    """
    if len(jumps) < 2:  # noqa: PLR2004  (one frame has nothing before it)
        return []
    low, high = float(jumps.min()), float(jumps.max())
    for _ in range(_ROUNDS):
        is_upper = jumps > (low + high) / 2
        if not is_upper.any() or is_upper.all():
            break
        means = float(jumps[~is_upper].mean()), float(jumps[is_upper].mean())
        if means == (low, high):
            break
        low, high = means
    if high < max(_CLEARLY * low, _LEAST):
        return []
    return _apart(np.flatnonzero(jumps > (low + high) / 2), jumps, min_dist)


def by_peaks(jumps: Jumps, *, step: int, times: float, sigma: float, min_dist: int) -> list[int]:
    """Return the frames at which shots begin: peaks of the smoothed jumps.

    Args:
        jumps: float (n,).
        step: frames on either side that a peak rises above.
        times: how many times the mean around it a peak is, at least.
        sigma: of the smoothing.
        min_dist: frames that a shot has at least.
    """
    smooth = _smoothed(jumps, sigma)
    wide = np.pad(smooth, step, constant_values=0.0)
    around = np.lib.stride_tricks.sliding_window_view(wide, 2 * step + 1)
    others = (around.sum(axis=1) - smooth) / max(2 * step, 1)
    is_peak = (smooth >= around.max(axis=1)) & (smooth >= np.maximum(times * others, _LEAST / 2))
    return _apart(np.flatnonzero(is_peak), smooth, min_dist)


def _apart(places: NDArray[np.int64], jumps: Jumps, min_dist: int) -> list[int]:
    """Keep the clearest of places that are nearer to each other than ``min_dist`` frames."""
    kept: list[int] = []
    for place in sorted(places.tolist(), key=lambda at: (-jumps[at], at)):
        if place >= min_dist and all(abs(place - other) >= min_dist for other in kept):
            kept.append(place)
    return sorted(kept)


def _smoothed(jumps: Jumps, sigma: float) -> Jumps:
    if sigma <= 0:
        return jumps
    reach = max(1, round(3 * sigma))
    bell = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    return np.convolve(np.pad(jumps, reach), bell / bell.sum(), mode="valid")
