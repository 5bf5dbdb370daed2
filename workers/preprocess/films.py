"""Films cut into frames, so many a second; places in seconds from the start."""

from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Cursor, Placed, Preprocessor, Source, Streaming
from workers.errors import ContentError, MissingLibraryError
from workers.preprocess.busyness import shares, unevenness

#: Frames and shots under this side are enough for every encoder here.
MAX_SIDE = 256
AV = "av==18.1.0 pillow==13.0.0"
_HASHES_KEPT = 8
_SHOT = 4  # dimensions of several frames

Weights = Literal["shares", "ones", "looks"]


class FilmPreprocessor(Streaming):
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

    def film(self, source: Source) -> Any:
        """Return the source's film, opened.

        Raises:
            ContentError: the source is none.
        """
        if not source.is_file:
            raise ContentError("this preprocessor reads films", "send the document as video")
        return self._films.Film(source.open())


class VideoFrames(FilmPreprocessor):
    """A chunk a frame, so many a second; frames that look like one just before may be left out.

    Of a film that would give more than max_frames, frames are taken farther apart.

    Args:
        frame_rate: frames a second; 0 takes every frame.
        max_frames: most chunks of one film.
        max_side: larger frames are made smaller.
        only_keys: take key frames only, whatever the rate: fast, where the film was cut.
        duplicate_rm: leave out what looks like one of the eight frames kept before it.
        phash_thresh: bits in which the hashes of two frames differ at most to look the same.
        weights: shares of the film, 1 in all; ones, for scores that take the best chunk alone; or
            looks, 1 in all, more for frames with more to see.
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
        max_frames: int = 7200,
        max_side: int = MAX_SIDE,
        only_keys: bool = False,
        duplicate_rm: bool = True,
        phash_thresh: int = 5,
        weights: Weights = "shares",
    ) -> None:
        if frame_rate < 0 or max_frames < 1 or max_side < 1:
            raise ValueError("frame_rate is at least 0, max_frames and max_side are at least 1")
        self.frame_rate, self.max_frames, self.max_side = frame_rate, max_frames, max_side
        self.weights = weights
        self.only_keys, self.duplicate_rm, self.phash_thresh = only_keys, duplicate_rm, phash_thresh

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield the frames; how long each is seen is settled in the end."""
        with self.film(source) as film:
            cursor["frame_s"] = film.frame_s
            step_s = self._step_s(film)
            for frame in film.frames(cursor, only_keys=self.only_keys):
                pixels = self._chosen(frame, film.frame_s, step_s, cursor)
                if pixels is not None:
                    weight = unevenness(pixels) if self.weights == "looks" else 1.0
                    yield Chunk(weight=weight, span=(frame.time, frame.time + step_s), array=pixels)
                yield None

    def settle(self, placed: Placed, cursor: Cursor) -> Placed:
        """Let each frame last until the next; take them farther apart where they are too many."""
        step = -(-len(placed.weights) // self.max_frames)
        kept = np.arange(len(placed.weights)) % step == 0
        starts = placed.spans[kept, 0]
        spans = placed.spans.copy()
        spans[kept, 1] = [*starts[1:], cursor["time"] + cursor["frame_s"]]
        weights = np.zeros(len(kept))
        weights[kept] = self._weights(placed.weights[kept])
        return Placed(weights, spans)

    def _weights(self, given: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.weights == "ones":
            return np.ones(len(given))
        if self.weights == "looks":
            return shares(given)
        return np.full(len(given), 1 / max(len(given), 1))

    def _step_s(self, film: Any) -> float:
        """Return the seconds from one frame that is taken to the next; 0 takes all."""
        step_s = 1 / self.frame_rate if self.frame_rate else 0.0
        if self.only_keys:
            return 0.0
        frames = film.duration / (step_s or film.frame_s)
        return float(film.duration / self.max_frames if frames > self.max_frames else step_s)

    def _chosen(self, frame: Any, frame_s: float, step_s: float, cursor: Cursor) -> Any:
        """Return the pixels of a frame that is due and looks like none of the last ones."""
        due = cursor.get("due", 0.0)
        if step_s and frame.time + 0.5 * frame_s < due:
            return None
        cursor["due"] = max(due + step_s, frame.time)
        pixels = frame.pixels(self.max_side)
        if not self.duplicate_rm:
            return pixels
        look = self._looks.perceptual_hash(pixels)
        recent = list(cursor.get("recent", ()))
        if any(self._looks.bits_apart(look, it) <= self.phash_thresh for it in recent):
            return None
        cursor["recent"] = [*recent[1 - _HASHES_KEPT :], look]
        return pixels


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
