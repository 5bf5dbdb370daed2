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


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """Return a picture (pixels, or an image of Pillow's) as a file's bytes."""
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()
