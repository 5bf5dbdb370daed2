"""Pictures that the tests draw themselves."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def drawn(width: int = 40, height: int = 30, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture of coarse random squares: it survives being made smaller."""
    rng = np.random.default_rng(seed)
    cells = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
    image = Image.fromarray(cells).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(image, np.uint8)


def scene(width: int = 96, height: int = 64, *, seed: int = 0) -> NDArray[np.uint8]:
    """Return a picture of one of six kinds, in colours of its own: networks tell them apart."""
    rng = np.random.default_rng(seed)
    dark, light = rng.integers(0, 100, 3), rng.integers(150, 255, 3)
    y, x = np.mgrid[:height, :width] / height
    masks = [
        y * 6 % 1 < 0.5,
        x * 8 % 1 < 0.3,
        (y * 4 % 1 < 0.5) ^ (x * 4 % 1 < 0.5),
        (y - 0.5) ** 2 + (x - 0.7) ** 2 < 0.12,
        y > 0.3 + 0.4 * x,
        np.sin(25 * np.hypot(y - 0.2, x - 0.2)) > 0,
    ]
    return np.where(masks[seed % 6][..., None], light, dark).astype(np.uint8)


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """Return a picture (pixels, or an image of Pillow's) as a file's bytes."""
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()
