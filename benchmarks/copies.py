"""Copies of pictures and films that a person would still call the same."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
from PIL import Image, ImageEnhance

FIRST = 75  # frames of a film that are taken
GOOD = 18  # of H.264's constant rate factors


def first_frames(
    path: Path, count: int = FIRST, size: tuple[int, int] = (320, 240)
) -> Iterator[Any]:
    """Yield a film's first frames, all of one (width, height)."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= count:
                return
            yield frame.to_ndarray(format="rgb24", width=size[0], height=size[1])


def film(frames: Sequence[Any], quality: int = GOOD, width: int = 320, height: int = 0) -> bytes:
    """Return frames as an H.264 film, of 4:3 unless its height is given."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height = width, height or width * 3 // 4
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(quality)}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    """Return a picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _cropped(picture: Image.Image) -> bytes:
    width, height = picture.size
    box = (width // 10, height // 10, width - width // 10, height - height // 10)
    return jpeg(picture.crop(box))


EDITS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG of quality 20": lambda picture: jpeg(picture, 20),
    "half the size": lambda p: jpeg(p.resize((p.width // 2, p.height // 2))),
    "thumbnail of 64 pixels": lambda p: jpeg(p.resize((64, max(1, 64 * p.height // p.width)))),
    "a tenth cut off each side": _cropped,
    "brighter by a third": lambda p: jpeg(ImageEnhance.Brightness(p).enhance(1.3)),
    "grey": lambda p: jpeg(p.convert("L").convert("RGB")),
    "mirrored": lambda p: jpeg(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}
