"""A picture of any medium, small: an image or a part of it, a frame of a film, a sound's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from workers.errors import ContentError
from workers.models.films import Film
from workers.models.pictures import Pixels, encoded, fitted, read_picture
from workers.models.sounds import Sound

_MAX_MEGAPIXELS = 80.0
_GLANCE_S = 1.0  # where a film is looked at when nobody says where: after the fade-in
_SOUND_RATE = 8_000
_LONGEST_S = 600  # of a sound, to be drawn
_INK, _PAPER = (11, 87, 208), (255, 255, 255)


def picture(file: BinaryIO, *, size: int, box: Sequence[int] | None = None) -> bytes:
    """Return an image, or the part of it in ``box`` (x0, y0, x1, y1 as it is shown), as WebP.

    Raises:
        ContentError: it is no image, or the box lies outside of it.
    """
    if box is None:
        pixels, _ = read_picture(file, max_megapixels=_MAX_MEGAPIXELS, max_side=size)
        return encoded(pixels)
    pixels, (width, height) = read_picture(file, max_megapixels=_MAX_MEGAPIXELS)
    x0, y0, x1, y1 = box
    part = pixels[max(y0, 0) : min(y1, height), max(x0, 0) : min(x1, width)]
    if not part.size:
        raise ContentError(f"the box lies outside of the image of {width} x {height} pixels")
    return encoded(fitted(part, size))


def frame(file: BinaryIO, *, size: int, at: float | None = None) -> bytes:
    """Return the frame of a film at ``at`` seconds, or near its beginning, as WebP.

    Raises:
        ContentError: it is no film.
    """
    with Film(file) as film:
        when = min(_GLANCE_S, 0.1 * film.duration) if at is None else at
        return encoded(film.frame_at(when).pixels(size))


def waveform(file: BinaryIO, *, size: int, span: tuple[float, float] | None = None) -> bytes:
    """Return how loud a sound is over time, as a drawing twice as wide as high, as WebP.

    Raises:
        ContentError: it is no sound.
    """
    start, end = span or (0.0, float(_LONGEST_S))
    skip, most = round(start * _SOUND_RATE), round((end - start) * _SOUND_RATE)
    parts: list[NDArray[np.float32]] = []
    count = 0
    with Sound(file, sample_rate=_SOUND_RATE) as sound:
        for block in sound.blocks(skip):
            parts.append(block)
            count += len(block)
            if count >= most:
                break
    samples: Any = np.concatenate(parts)[:most] if parts else np.zeros(1, np.float32)
    return encoded(_drawn(samples, size, max(size // 2, 1)))


def _drawn(samples: NDArray[np.float32], width: int, height: int) -> Pixels:
    """Return the loudest of each stretch of samples as a column, scaled to the loudest of all."""
    loud = np.array([np.abs(part).max(initial=0.0) for part in np.array_split(samples, width)])
    reach = np.maximum(loud / max(float(loud.max()), 1e-6) * (height / 2 - 1), 0.5)
    rows = np.abs(np.arange(height)[:, None] + 0.5 - height / 2)
    return np.where((rows <= reach[None])[..., None], _INK, _PAPER).astype(np.uint8)
