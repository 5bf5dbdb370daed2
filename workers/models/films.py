"""Films, decoded as they stream: what is not kept takes no memory, however long the film."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import TracebackType
from typing import Any, BinaryIO, Self

import av
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter

from workers.errors import ContentError
from workers.models.pictures import Pixels

_MAX_MEGAPIXELS = 80
_EVEN = 2
_USUAL_RATE = 25.0  # of films that do not say how many frames a second they have
_TINY_S = 1e-6
_ANEW = "encode it anew, as H.264 for instance"
#: A playlist among the uploads must not make the decoder open files or addresses.
OPENING = {"protocol_whitelist": "none"}


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of a film and when it is shown, in seconds from its start."""

    time: float
    decoded: Any
    scalers: defaultdict[int, VideoReformatter]  # to make one costs ten times its use

    def pixels(self, max_side: int = 0) -> Pixels:
        """Return the picture as it is shown; larger ones are made smaller."""
        frame = self.decoded
        width, height = frame.width, frame.height
        scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
        small = self.scalers[max_side].reformat(
            frame,
            max(_EVEN, round(width * scale)),
            max(_EVEN, round(height * scale)),
            "rgb24",
            interpolation=Interpolation.AREA,
            threads=1,
        )
        turns = round((getattr(frame, "rotation", 0) or 0) / 90) % 4
        pixels = small.to_ndarray()
        return np.ascontiguousarray(np.rot90(pixels, turns) if turns else pixels)


class Film:
    """A film that is read from a file; a context manager.

    Args:
        file: to read and seek in; it is closed in the end.

    Raises:
        ContentError: it is empty, no film, or holds no pictures.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._container: Any = None
        self._is_fresh = True
        self._scalers: defaultdict[int, VideoReformatter] = defaultdict(VideoReformatter)
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of decoder and file."""
        if self._container is not None:
            self._container.close()
        self._file.close()

    @property
    def duration(self) -> float:
        """How many seconds it runs, by its container's word; 0 when that says nothing."""
        if self._stream.duration and self._stream.time_base:
            return float(self._stream.duration * self._stream.time_base)
        return float(self._container.duration or 0) / av.time_base

    @property
    def frame_s(self) -> float:
        """Seconds from one frame to the next, on average."""
        return 1 / float(self._stream.average_rate or _USUAL_RATE)

    @property
    def has_sound(self) -> bool:
        """Whether it has a sound track that can be decoded."""
        tracks = self._container.streams.audio
        return bool(tracks) and tracks[0].codec_context is not None

    def frames(self, cursor: dict[str, Any], *, only_keys: bool = False) -> Iterator[Frame]:
        """Yield the frames in order until the film ends or breaks; what came before that stays.

        Args:
            cursor: where to go on: after the frame at ``time``, seconds from the one that was
                shown first, at ``start``. Kept up to date with every frame.
            only_keys: decode key frames only, which is many times faster.

        Raises:
            ContentError: nothing can be decoded, or its frames are too large.
        """
        seen: float | None = cursor.get("time")
        if seen is not None:
            self._seek(cursor["start"] + seen)
        elif not self._is_fresh:
            self._open()
        self._is_fresh = False
        if only_keys:
            self._stream.codec_context.skip_frame = "NONKEY"
        for frame, seconds in self._decoded(is_first=seen is None):
            time = seconds - cursor.setdefault("start", seconds)
            if seen is not None and time <= seen + _TINY_S:
                continue
            cursor["time"] = time
            yield Frame(time, frame, self._scalers)
        if "time" not in cursor:
            raise ContentError("the film holds no frame that can be decoded")

    def frame_at(self, seconds: float) -> Frame:
        """Return the frame that is seen at a time, or the last one of a film that has ended then.

        Raises:
            ContentError: nothing can be decoded.
        """
        return next(self.between(seconds, seconds))

    def between(self, start: float, end: float) -> Iterator[Frame]:
        """Yield the frames that are seen from ``start`` to ``end``: one at least.

        Raises:
            ContentError: nothing can be decoded.
        """
        self._seek(self.origin + max(start, 0.0))
        seen: Frame | None = None
        for frame, seconds in self._decoded(is_first=True):
            time = seconds - self.origin
            if seen is not None and time > max(start, 0.0) + _TINY_S:
                yield seen
                if time >= end:
                    return
            seen = Frame(time, frame, self._scalers)
        if seen is None:
            raise ContentError("the film holds no frame that can be decoded")
        yield seen

    @cached_property
    def origin(self) -> float:
        """The container's time of the first frame, from which seconds are counted."""
        self._is_fresh = False
        return next((seconds for _, seconds in self._decoded(is_first=True)), 0.0)

    def _open(self) -> None:
        if self._container is not None:
            self._container.close()
        self._file.seek(0)
        if not self._file.read(1):
            raise ContentError("the film is empty: it has no bytes")
        self._file.seek(0)
        try:
            self._container = av.open(self._file, metadata_errors="replace", options=dict(OPENING))
        except (FFmpegError, ValueError) as error:
            raise ContentError(f"these bytes are no film that can be opened: {error}") from None
        if not self._container.streams.video:
            raise ContentError("the file holds no pictures", "send sound as audio")
        self._stream = self._container.streams.video[0]
        context = self._stream.codec_context
        if context is None:
            raise ContentError("the film's pictures are in a codec that is not known here", _ANEW)
        self._stream.thread_type = "AUTO"
        self._is_fresh = True
        if context.width * context.height > _MAX_MEGAPIXELS * 1e6:
            size = f"{context.width} x {context.height}"
            raise ContentError(f"frames of {size} pixels are too large")

    def _seek(self, seconds: float) -> None:
        """Go to a key frame at or before a time of the container; to the start if that fails."""
        try:
            offset = int(seconds / self._stream.time_base)
            self._container.seek(offset, stream=self._stream, backward=True)
            first = next(self._container.decode(self._stream), None)
            if first is not None and first.time is not None and first.time <= seconds + _TINY_S:
                self._container.seek(offset, stream=self._stream, backward=True)
                return
        except (FFmpegError, ValueError, OverflowError):
            pass
        self._open()

    def _decoded(self, *, is_first: bool) -> Iterator[tuple[Any, float]]:
        """Yield (frame, seconds); frames that do not say when they are shown follow each other."""
        time, is_first_frame = -1.0, True
        try:
            for frame in self._container.decode(self._stream):
                known = frame.time
                if known is not None and (is_first_frame or known > time):
                    time = float(known)
                else:
                    time = 0.0 if is_first_frame else time + self.frame_s
                is_first_frame = False
                yield frame, time
        except FFmpegError as error:
            if is_first and is_first_frame:
                raise ContentError(f"the film is broken: {error}") from None
