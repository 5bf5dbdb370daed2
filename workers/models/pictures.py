"""Pictures from the bytes of any format, as they are meant to be seen: uint8 (height, width, 3)."""

import io
import warnings
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from indexstore.sniffing import SNIFFED_BYTES, sniff
from workers.errors import ContentError

Pixels = NDArray[np.uint8]

_WHITE = (255, 255, 255, 255)
_CHANNELS = 3
#: What Pillow raises on files that are broken, cut off, or made to break it.
_BROKEN = (OSError, SyntaxError, ValueError, EOFError, MemoryError, OverflowError)


def read_picture(
    file: BinaryIO, *, max_megapixels: float, max_side: int = 0
) -> tuple[Pixels, tuple[int, int]]:
    """Return the pixels of a file and its (width, height) as shown, turned as its camera says.

    Of an animation the first frame is read. With ``max_side`` larger pictures are made smaller.

    Raises:
        ContentError: the file is empty, broken, cut off, or too large.
    """
    if not file.read(1):
        raise ContentError("the image is empty: it has no bytes")
    file.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read(_whole(file), max_megapixels, max_side)
    except UnidentifiedImageError:
        raise ContentError(_unidentified(file)) from None
    except Image.DecompressionBombError as error:
        raise ContentError(f"the image is too large: {error}") from None
    except ContentError:
        raise
    except _BROKEN as error:
        raise ContentError(f"the image is broken or cut off: {error}") from None


def _whole(file: BinaryIO) -> Any:
    """Return the image of a file; of a PNG the checksums are checked, which Pillow does not do by
    itself: it fills up with black what it cannot read.
    """  # noqa: D205 - one sentence
    image = Image.open(file)
    if image.format != "PNG":
        return image
    image.verify()  # reads to the end, and leaves the image of no further use
    file.seek(0)
    return Image.open(file)


def _unidentified(file: BinaryIO) -> str:
    file.seek(0)
    found = sniff(file.read(SNIFFED_BYTES))
    if found.startswith("image/"):
        return f"this {found} is broken, or of a kind that is not read here"
    return "these bytes are no image of a format that is known here"


def resized(pixels: Pixels, width: int, height: int) -> Pixels:
    """Return the picture at this size."""
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0))


def fitted(pixels: Pixels, max_side: int) -> Pixels:
    """Return the picture, made smaller if it is wider or higher than ``max_side``."""
    height, width = pixels.shape[:2]
    longest = max(width, height)
    if not max_side or longest <= max_side:
        return pixels
    scale = max_side / longest
    return resized(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def encoded(pixels: Pixels, kind: str = "WEBP", *, quality: int = 80) -> bytes:
    """Return the picture as a file of a format that Pillow writes."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, quality=quality)
    return file.getvalue()


def as_picture(array: NDArray[Any]) -> Pixels:
    """Return the array of a chunk as a picture.

    Raises:
        ContentError: it has not the shape of one.
    """
    if array.ndim != _CHANNELS or array.shape[2] != _CHANNELS or 0 in array.shape:
        shape = "x".join(map(str, array.shape))
        raise ContentError(f"pixels of shape {shape} are no picture (height, width, 3)")
    return np.asarray(array if array.dtype == np.uint8 else np.clip(array, 0, 255), np.uint8)


def _read(image: Any, max_megapixels: float, max_side: int) -> tuple[Pixels, tuple[int, int]]:
    width, height = image.size
    if width * height > max_megapixels * 1e6:
        raise ContentError(
            f"the image has {width} x {height} pixels, the limit is {max_megapixels:g} million",
            "make it smaller, or raise max_megapixels",
        )
    turned = (image.getexif().get(0x0112) or 1) >= 5  # noqa: PLR2004  (EXIF: on its side)
    shown = (height, width) if turned else (width, height)
    if max_side and image.format == "JPEG":
        image.draft(None, (max_side, max_side))  # decodes an eighth of the work where it may
    image.load()
    image = _plain(ImageOps.exif_transpose(image))
    return fitted(np.asarray(image, np.uint8), max_side), shown


def _plain(image: Any) -> Any:
    """Return the picture in red, green and blue; what is see-through stands on white."""
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image)
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in {"RGBA", "LA", "PA", "La", "RGBa"}:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Any) -> Any:
    """Return a picture of 16 bits, or of any numbers, in 8."""
    values = np.asarray(image, np.float64)
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    if image.mode == "F":
        values = 255 * (values - low) / max(high - low, 1e-12)
    elif high > 255:  # noqa: PLR2004
        values = values / 257 if high <= 65535 else 255 * (values - low) / (high - low)  # noqa: PLR2004
    return Image.fromarray(np.nan_to_num(np.clip(values, 0, 255)).astype(np.uint8))
