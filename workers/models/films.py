"""Films, decoded as they stream: what is not kept takes no memory, however long the film."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.error import FFmpegError

from workers.errors import ContentError
from workers.models.pictures import Pixels

_MAX_MEGAPIXELS = 80
_EVEN = 2


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a film and when it is shown, in seconds from its start."""

    time: float
    pixels: Pixels


def frames(
    data: bytes, *, rate: float = 0.0, max_side: int = 0, only_keys: bool = False
) -> Iterator[Frame]:
    """Yield the frames of a film in order.

    Args:
        data: the film, of any container.
        rate: frames a second to yield at most; 0 yields all.
        max_side: larger frames are made smaller.
        only_keys: decode key frames only, which is many times faster.

    Raises:
        ContentError: the film is empty, broken before its first frame, or holds no pictures.
    """
    with _opened(data) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if only_keys:
            stream.codec_context.skip_frame = "NONKEY"
        is_first, start, due = True, 0.0, 0.0
        for frame, seconds in _decoded(container, stream):
            if is_first:
                is_first, start = False, seconds
            time = seconds - start
            if rate and time + _half_a_frame(stream) < due:
                continue
            due = max(due + (1 / rate if rate else 0.0), time)
            yield Frame(time, _pixels(frame, max_side))
        if is_first:
            raise ContentError("the film holds no frame that can be decoded")


def duration_of(data: bytes) -> float:
    """Return how many seconds a film runs, by its container's word; 0 when that says nothing."""
    with _opened(data) as container:
        stream = container.streams.video[0]
        if stream.duration and stream.time_base:
            return float(stream.duration * stream.time_base)
        return float(container.duration or 0) / av.time_base


@contextmanager
def _opened(data: bytes) -> Iterator[Any]:
    if not data:
        raise ContentError("the film is empty: it has no bytes")
    try:
        container = av.open(io.BytesIO(data), metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise ContentError(f"these bytes are no film that can be opened: {error}") from None
    with container:
        if not container.streams.video:
            raise ContentError("the file holds no pictures", "send sound as audio")
        yield container


def _decoded(container: Any, stream: Any) -> Iterator[tuple[Any, float]]:
    """Yield (frame, seconds) until the film ends or breaks; what came before it breaks stays."""
    time, step = -1.0, 1 / float(stream.average_rate or 25)
    try:
        for frame in container.decode(stream):
            known = frame.time
            time = time + step if known is None or known <= time else float(known)
            yield frame, time
    except FFmpegError as error:
        if time < 0:
            raise ContentError(f"the film is broken: {error}") from None


def _half_a_frame(stream: Any) -> float:
    return 0.5 / float(stream.average_rate or 25)


def _pixels(frame: Any, max_side: int) -> Pixels:
    width, height = frame.width, frame.height
    if width * height > _MAX_MEGAPIXELS * 1e6:
        raise ContentError(f"frames of {width} x {height} pixels are too large")
    scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
    small = frame.reformat(
        width=max(_EVEN, round(width * scale)),
        height=max(_EVEN, round(height * scale)),
        format="rgb24",
    )
    turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
    pixels = small.to_ndarray()
    return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels)
