"""A few seconds of a film or a sound, encoded anew: small enough to be shown beside others."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from workers.errors import ContentError
from workers.models.films import OPENING, Film, Frame

Opener = Callable[[], BinaryIO]

_TICK = Fraction(1, 1000)
_TOLERANCE = 0.1  # of a frame's time: clocks of films are not exact
_SOUND_RATE = 48_000


@dataclass(frozen=True, slots=True)
class _Format:
    """How a kind of clip is encoded."""

    container: str
    codec: str
    pixels: str
    rate: int  # frames a second at most
    options: Mapping[str, str]


_FORMATS: Mapping[str, _Format] = {
    "mp4": _Format("mp4", "libx264", "yuv420p", 25, {"crf": "26", "preset": "veryfast"}),
    "webp": _Format("webp", "libwebp_anim", "yuv420p", 10, {"quality": "60"}),
    "gif": _Format("gif", "gif", "rgb8", 10, {}),
}
VIDEO_FORMATS = tuple(_FORMATS)
SOUND_FORMAT = "ogg"


def film_clip(opener: Opener, *, span: tuple[float, float], size: int, kind: str) -> bytes:
    """Return the seconds [start, end) of a film; of mp4 with its sound.

    Args:
        opener: opens the film; called once for pictures, once for sound.
        span: start and end.
        size: most pixels of a side.
        kind: mp4, webp or gif.

    Raises:
        ContentError: it is no film.
    """
    how = _FORMATS[kind]
    made = io.BytesIO()
    with Film(opener()) as film, av.open(made, "w", format=how.container) as container:
        stream: Any = container.add_stream(how.codec, rate=how.rate, options=dict(how.options))
        stream.codec_context.time_base = _TICK
        track = _Track(opener(), container, "aac") if kind == "mp4" and film.has_sound else None
        for number, frame in enumerate(_thinned(film.between(*span), how.rate)):
            pixels = _even(frame.pixels(size))
            if not number:
                stream.height, stream.width = pixels.shape[:2]
                stream.pix_fmt = how.pixels
            image = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            image.pts, image.time_base = round(max(frame.time - span[0], 0) / _TICK), _TICK
            container.mux(stream.encode(image))
        container.mux(stream.encode())
        if track is not None:
            track.write((film.origin + span[0], film.origin + span[1]))
    return made.getvalue()


def sound_clip(opener: Opener, *, span: tuple[float, float]) -> bytes:
    """Return the seconds [start, end) of a sound, or of a film's sound, as Ogg with Opus.

    Raises:
        ContentError: it holds no sound, or ends before ``span``.
    """
    made = io.BytesIO()
    with av.open(made, "w", format=SOUND_FORMAT) as container:
        if not _Track(opener(), container, "libopus").write(span):
            raise ContentError(f"the sound ends before {span[0]:g} s")
    return made.getvalue()


class _Track:
    """The sound of a clip: decoded from its source, encoded into the clip."""

    def __init__(self, file: BinaryIO, container: Any, codec: str) -> None:
        self._file, self._container = file, container
        try:
            self._source: Any = av.open(file, metadata_errors="replace", options=dict(OPENING))
        except (FFmpegError, ValueError) as error:
            raise ContentError(f"these bytes are no sound that can be opened: {error}") from None
        tracks = self._source.streams.audio
        if not tracks or tracks[0].codec_context is None:
            raise ContentError("the file holds no sound that can be decoded")
        self._heard = tracks[0]
        channels = "stereo" if self._heard.channels > 1 else "mono"
        self._stream = container.add_stream(codec, rate=_SOUND_RATE, layout=channels)

    def write(self, span: tuple[float, float]) -> int:
        """Encode what sounds within a span of the source's own time; return how many samples."""
        resampler = av.AudioResampler("fltp", self._stream.codec_context.layout, _SOUND_RATE)
        written = 0
        with self._file, self._source:
            for frame in self._within(span):
                frame.pts = None
                for made in resampler.resample(frame):
                    made.pts, made.time_base = written, Fraction(1, _SOUND_RATE)
                    written += made.samples
                    self._container.mux(self._stream.encode(made))
            self._container.mux(self._stream.encode())
        return written

    def _within(self, span: tuple[float, float]) -> Iterator[Any]:
        start, end = span
        try:
            if start > 0:
                self._source.seek(int(start * av.time_base), backward=True)
            for frame in self._source.decode(self._heard):
                time = float(frame.time or 0.0)
                if time >= end:
                    return
                if time + frame.samples / frame.sample_rate > start:
                    yield frame
        except FFmpegError:
            return


def _thinned(frames: Iterator[Frame], rate: int) -> Iterator[Frame]:
    """Yield so many frames a second at most."""
    due = -1.0
    for frame in frames:
        if frame.time >= due:
            due = max(due, frame.time) + (1 - _TOLERANCE) / rate
            yield frame


def _even(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of even sides, which most codecs want."""
    height, width = pixels.shape[:2]
    return np.ascontiguousarray(pixels[: height - height % 2 or 1, : width - width % 2 or 1])
