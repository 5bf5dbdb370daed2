"""Films cut into chunks: frames at a rate, or shots; places in seconds from the start."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError, MissingLibraryError

#: Frames and shots under this side are enough for every encoder here.
MAX_SIDE = 256
AV = "av==18.1.0 pillow==13.0.0"
_LOOK_SIDE = 64  # of the frames that shots are found in
_HASHES_KEPT = 8
_SHOT = 4  # dimensions of several frames


class FilmPreprocessor(Preprocessor):
    """What reads films frame by frame."""

    inputs = ("video",)

    def setup(self) -> None:
        """Load the decoder."""
        title = type(self).names()[0]
        try:
            from workers.models import films, looks, pictures  # noqa: PLC0415  (av is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, str(error.name), AV) from error
        self._films, self._looks, self._pictures = films, looks, pictures

    @staticmethod
    def bytes_of(source: Source) -> bytes:
        """Return the film's bytes.

        Raises:
            ContentError: the source is none.
        """
        if source.data is None:
            raise ContentError("this preprocessor reads films", "send the document as video")
        return source.data


class VideoFrames(FilmPreprocessor):
    """A chunk a frame, so many a second; frames that look like one just before may be left out.

    A film that gives more than max_frames is read at half the rate, a quarter, and so on: memory is
    bounded however long it runs.

    Args:
        frame_rate: frames a second; 0 takes every frame.
        max_frames: most chunks of one film.
        max_side: larger frames are made smaller.
        only_keys: take key frames only, whatever the rate: fast, where the film was cut.
        duplicate_rm: leave out what looks like one of the eight frames kept before it.
        phash_thresh: bits in which the hashes of two frames differ at most to look the same.
        weights: shares of the film, 1 in all, or ones, for scores that take the best chunk alone.
    """

    aliases: ClassVar[tuple[str, ...]] = ("FFmpegPreprocessor", "VideoDecoderPreprocessor")
    outputs = ("image",)
    former_options: ClassVar[dict[str, str | None]] = {
        "frame_num": "max_frames", "vframes": "max_frames", "frame_size": None,
        "use_phash_weight": None, "drop_raw_data": None, "chunk_spliter": None,
    }  # fmt: skip

    def __init__(
        self,
        *,
        frame_rate: float = 1.0,
        max_frames: int = 512,
        max_side: int = MAX_SIDE,
        only_keys: bool = False,
        duplicate_rm: bool = True,
        phash_thresh: int = 5,
        weights: Literal["shares", "ones"] = "shares",
    ) -> None:
        if frame_rate < 0 or max_frames < 1 or max_side < 1:
            raise ValueError("frame_rate is at least 0, max_frames and max_side are at least 1")
        self.frame_rate, self.max_frames, self.max_side = frame_rate, max_frames, max_side
        self.weights = weights
        self.only_keys, self.duplicate_rm, self.phash_thresh = only_keys, duplicate_rm, phash_thresh

    def apply(self, source: Source) -> list[Chunk]:
        """Return the frames, each with the time until the next one."""
        kept: list[Any] = []
        end, every = 0.0, 1
        for number, frame in enumerate(self._fresh(self._frames(self.bytes_of(source)))):
            end = frame.time
            if number % every == 0:
                kept.append(frame)
            if len(kept) > self.max_frames:
                kept, every = kept[::2], 2 * every
        times = [frame.time for frame in kept]
        step = 1 / self.frame_rate if self.frame_rate else 0.04
        ends = [*times[1:], end + step]
        weight = 1 / len(kept) if self.weights == "shares" else 1.0
        return [
            Chunk(position, weight=weight, span=(frame.time, until), array=frame.pixels)
            for position, (frame, until) in enumerate(zip(kept, ends, strict=True))
        ]

    def _frames(self, data: bytes) -> Iterator[Any]:
        rate = 0.0 if self.only_keys else self.frame_rate
        found: Iterator[Any] = self._films.frames(
            data, rate=rate, max_side=self.max_side, only_keys=self.only_keys
        )
        return found

    def _fresh(self, frames: Iterator[Any]) -> Iterator[Any]:
        """Yield the frames that look like none of the last ones."""
        recent: list[int] = []
        for frame in frames:
            if self.duplicate_rm:
                look = self._looks.perceptual_hash(frame.pixels)
                if any(self._looks.bits_apart(look, it) <= self.phash_thresh for it in recent):
                    continue
                recent = [*recent[1 - _HASHES_KEPT :], look]
            yield frame


class VideoShots(FilmPreprocessor):
    """A chunk a shot: where the picture changes at once, a new one begins.

    The colours of every frame are compared with those of the frame before. Of each shot some
    frames are kept, one from its middle by default; its weight is its share of the film.

    Args:
        descriptor: what is compared; with block, each of num_blocks x num_blocks cells for itself.
        distance_metric: how colours are compared.
        threshold: the distance, 0 to about 1, from which on two frames belong to two shots.
        min_dist: frames that a shot has at least.
        num_blocks: cells across and down, for descriptors with block.
        sframes: frames to keep of each shot; several are one chunk of several frames.
        max_shot_num: most shots; a film with more keeps its clearest cuts.
        max_side: larger frames are made smaller.
        frame_rate: frames a second that are looked at; 0 looks at all.
        weights: shares of the film, 1 in all, or ones, for scores that take the best chunk alone.
    """

    aliases: ClassVar[tuple[str, ...]] = ("ShotDetectorPreprocessor",)
    former_options: ClassVar[dict[str, str | None]] = {
        "detect_method": None, "frame_size": None, "vframes": None, "drop_raw_data": None,
        "max_level": None, "motion_step": None, "neigh_avg": None,
    }  # fmt: skip

    def __init__(  # noqa: PLR0913  (the options of YAML)
        self,
        *,
        descriptor: Literal[
            "rgb_histogram", "hsv_histogram", "block_rgb_histogram", "block_hsv_histogram"
        ] = "block_hsv_histogram",
        distance_metric: Literal[
            "bhattacharyya", "bhattacharya", "hellinger", "hellinguer", "correlation", "chisqr",
            "intersection",
        ] = "bhattacharyya",
        threshold: float = 0.4,
        min_dist: int = 10,
        num_blocks: int = 3,
        sframes: int = 1,
        max_shot_num: int = 1000,
        max_side: int = MAX_SIDE,
        frame_rate: float = 0.0,
        weights: Literal["shares", "ones"] = "shares",
    ) -> None:  # fmt: skip
        if min(min_dist, num_blocks, sframes, max_shot_num, max_side) < 1 or frame_rate < 0:
            raise ValueError("counts must be at least 1 and frame_rate at least 0")
        self.descriptor, self.distance_metric = descriptor, distance_metric
        self.threshold, self.min_dist, self.num_blocks = threshold, min_dist, num_blocks
        self.sframes, self.max_shot_num, self.max_side = sframes, max_shot_num, max_side
        self.frame_rate, self.weights = frame_rate, weights

    def apply(self, source: Source) -> list[Chunk]:
        """Return the shots in order."""
        shots = list(self._shots(self.bytes_of(source)))
        while len(shots) > self.max_shot_num:
            weakest = min(range(1, len(shots)), key=lambda place: shots[place].jump)
            shots[weakest - 1].join(shots.pop(weakest))
        total = sum(shot.count for shot in shots)
        chunks = []
        for position, shot in enumerate(shots):
            pictures = np.stack(selected(shot.frames, self.sframes))
            array = pictures[0] if len(pictures) == 1 else pictures
            span = (shot.start, shot.end)
            weight = shot.count / total if self.weights == "shares" else 1.0
            chunks.append(Chunk(position, weight=weight, span=span, array=array))
        return chunks

    def _shots(self, data: bytes) -> Iterator["_Shot"]:
        before: NDArray[np.float64] | None = None
        shot: _Shot | None = None
        metric: Any = self._looks.FORMER.get(self.distance_metric, self.distance_metric)
        for frame in self._films.frames(data, rate=self.frame_rate, max_side=self.max_side):
            small = self._pictures.fitted(frame.pixels, _LOOK_SIDE)
            look = self._looks.histogram(small, descriptor=self.descriptor, blocks=self.num_blocks)
            jump = 0.0 if before is None else self._looks.distance(before, look, metric)
            before = look
            if shot is None or (jump >= self.threshold and shot.count >= self.min_dist):
                if shot is not None:
                    shot.end = frame.time
                    yield shot
                shot = _Shot(frame.time, jump)
            shot.add(frame.time, frame.pixels)
        if shot is not None:
            yield shot


class FrameSelect(Preprocessor):
    """Some frames of each chunk that has several, evenly spread.

    Args:
        sframes: how many; 1 takes the middle one, 0 or less leaves all.
    """

    aliases: ClassVar[tuple[str, ...]] = ("FrameSelectPreprocessor",)
    inputs = ("video",)

    def __init__(self, *, sframes: int = 1) -> None:
        self.sframes = sframes

    def apply(self, source: Source) -> list[Chunk]:
        """Return the chunk with the frames that were chosen."""
        if source.array is None:
            raise ContentError("FrameSelect chooses from chunks", "put it behind VideoShots")
        if source.array.ndim < _SHOT:
            return [Chunk(array=source.array)]
        return [Chunk(array=np.stack(selected(list(source.array), self.sframes)))]


def selected(frames: Sequence[NDArray[Any]], count: int) -> list[NDArray[Any]]:
    """Return some frames: the middle one, every so many, or, if that is too few, random ones."""
    n = len(frames)
    if count <= 0 or n <= count:
        return list(frames)
    if count == 1:
        return [frames[n // 2]]
    if n >= 2 * count:
        return list(frames[:: -(-n // count)])
    chosen = np.random.default_rng(n).choice(n, count, replace=False)
    return [frames[place] for place in sorted(chosen.tolist())]


class _Shot:
    """A shot while it is seen: of its frames at most a few are kept, evenly spread."""

    _MOST = 32

    def __init__(self, start: float, jump: float) -> None:
        self.start, self.end, self.jump = start, start, jump
        self.count, self._every = 0, 1
        self.frames: list[NDArray[np.uint8]] = []

    def add(self, time: float, pixels: NDArray[np.uint8]) -> None:
        """See one more frame."""
        if self.count % self._every == 0:
            self.frames.append(pixels)
        self.count += 1
        self.end = time
        self._thin()

    def join(self, following: "_Shot") -> None:
        """Take the next shot in."""
        self.frames += following.frames
        self.count += following.count
        self.end = following.end
        self._thin()

    def _thin(self) -> None:
        while len(self.frames) > self._MOST:
            self.frames, self._every = self.frames[::2], 2 * self._every
