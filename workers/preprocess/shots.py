"""Films cut into shots: where the picture changes at once, a new one begins."""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Cursor, Placed, Source
from workers.preprocess.films import MAX_SIDE, FilmPreprocessor, selected

_LOOK_SIDE = 64  # of the frames that are compared
_KEPT = 8  # frames of an unfinished shot that are held for each that is wanted
_EDGES = ("canny_edge", "edge_change_ratio")


class VideoShots(FilmPreprocessor):
    """A chunk a shot: where the picture changes at once, a new one begins.

    Every frame is compared with the one before. Of each shot some frames are kept, one from its
    middle by default; its weight is its share of the film.

    Args:
        descriptor: what is compared: colours of the whole, of num_blocks x num_blocks cells
            (block), of ever smaller cells at once (pyramid), or edges.
        distance_metric: how that is compared; edges by edge_change_ratio alone.
        detect_method: threshold cuts at every distance of threshold or more, in one pass; kmeans
            divides the film's distances into two clusters, motion looks for peaks, in two passes.
        threshold: the distance, 0 to about 1, from which on two frames belong to two shots.
        min_dist: frames that a shot has at least.
        num_blocks: cells across and down, for descriptors with block.
        max_level: the finest cells are 2**max_level across and down, for descriptors with pyramid.
        motion_step: frames on either side that a peak rises above.
        neigh_avg: how many times the mean of these frames a peak is at least.
        sigma: frames over which distances are smoothed before peaks are looked for.
        dilate_rate: pixels, of 64, across which an edge has only moved.
        sframes: frames to keep of each shot; several are one chunk of several frames.
        max_shot_num: most shots; a film with more keeps its clearest cuts.
        max_side: larger frames are made smaller.
        frame_rate: frames a second that are looked at; 0 looks at all.
        weights: shares of the film, 1 in all, or ones, for scores that take the best chunk alone.
    """

    aliases: ClassVar[tuple[str, ...]] = ("ShotDetectorPreprocessor",)
    former_options: ClassVar[dict[str, str | None]] = {
        "frame_size": None, "vframes": None, "drop_raw_data": None,
    }  # fmt: skip

    def __init__(  # noqa: PLR0913  (the options of YAML)
        self,
        *,
        descriptor: Literal[
            "rgb_histogram", "hsv_histogram", "block_rgb_histogram", "block_hsv_histogram",
            "pyramid_rgb_histogram", "pyramid_hsv_histogram", "canny_edge",
        ] = "block_hsv_histogram",
        distance_metric: Literal[
            "bhattacharyya", "bhattacharya", "hellinger", "hellinguer", "correlation", "chisqr",
            "chisqr_alt", "intersection", "kl_div", "edge_change_ratio", "edge_change_ration",
        ] = "bhattacharyya",
        detect_method: Literal["threshold", "kmeans", "motion"] = "threshold",
        threshold: float = 0.4,
        min_dist: int = 10,
        num_blocks: int = 3,
        max_level: int = 2,
        motion_step: int = 15,
        neigh_avg: float = 2.0,
        sigma: float = 0.5,
        dilate_rate: int = 2,
        sframes: int = 1,
        max_shot_num: int = 1000,
        max_side: int = MAX_SIDE,
        frame_rate: float = 0.0,
        weights: Literal["shares", "ones"] = "shares",
    ) -> None:  # fmt: skip
        counts = (min_dist, num_blocks, sframes, max_shot_num, max_side, motion_step)
        if min(counts) < 1 or min(frame_rate, max_level, sigma, neigh_avg, dilate_rate) < 0:
            raise ValueError("counts must be at least 1, all other numbers at least 0")
        if (descriptor == _EDGES[0]) != distance_metric.startswith("edge_change"):
            raise ValueError(f"{' and '.join(_EDGES)} belong together, neither goes with others")
        self.descriptor, self.distance_metric = descriptor, distance_metric
        self.detect_method, self.threshold, self.min_dist = detect_method, threshold, min_dist
        self.num_blocks, self.max_level, self.dilate_rate = num_blocks, max_level, dilate_rate
        self.motion_step, self.neigh_avg, self.sigma = motion_step, neigh_avg, sigma
        self.sframes, self.max_shot_num, self.max_side = sframes, max_shot_num, max_side
        self.frame_rate, self.weights = frame_rate, weights

    def setup(self) -> None:
        """Load the decoder."""
        super().setup()
        from workers.models import cuts  # noqa: PLC0415  (loaded with the decoder)

        self._cuts = cuts
        self._metric: Any = self._looks.FORMER.get(self.distance_metric, self.distance_metric)

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield the shots in order, each when it has ended."""
        with self.film(source) as film:
            if self.detect_method != "threshold" and "cuts" not in cursor:
                yield from self._surveyed(film, cursor)
            shots = cursor.setdefault("shots", {})
            for frame, jump in self._compared(film, shots):
                shot = shots.get("shot")
                is_cut = shot is not None and self._is_cut(jump, shot, cursor)
                ended = self._chunk(shot, frame.time) if is_cut else None
                if shot is None or is_cut:
                    shot = {"start": frame.time, "count": 0, "every": 1, "frames": []}
                    cursor["jumps"] = [*cursor.get("jumps", ()), jump]
                shots["shot"] = self._seen(shot, frame)
                if ended is not None:
                    yield ended
                yield None
            last, shots["shot"] = shots.get("shot"), None
            if last is not None:
                yield self._chunk(last, shots["time"] + film.frame_s)

    def settle(self, placed: Placed, cursor: Cursor) -> Placed:
        """Join shots at the weakest cuts while they are too many; let weights be shares."""
        jumps = np.array(cursor["jumps"], np.float64)
        weights, spans = placed.weights.copy(), placed.spans.copy()
        rows = list(range(len(weights)))
        while len(rows) > self.max_shot_num:
            at = 1 + int(np.argmin(jumps[rows[1:]]))
            before, after = rows[at - 1], rows[at]
            keeper, lost = (after, before) if weights[after] > weights[before] else (before, after)
            span = (spans[before, 0], spans[after, 1])
            weights[keeper], weights[lost] = weights[before] + weights[after], 0.0
            spans[keeper], jumps[keeper] = span, jumps[before]
            rows[at - 1 : at + 1] = [keeper]
        if self.weights == "ones":
            return Placed((weights > 0).astype(np.float64), spans)
        return Placed(weights / max(float(weights.sum()), 1.0), spans)

    def _surveyed(self, film: Any, cursor: Cursor) -> Iterator[None]:
        """Look at the whole film once; then ``cursor`` knows the frames at which shots begin."""
        survey = cursor.setdefault("survey", {"jumps": []})
        for _, jump in self._compared(film, survey):
            survey["jumps"].append(jump)
            yield None
        jumps = np.array(survey["jumps"], np.float64)
        if self.detect_method == "kmeans":
            cursor["cuts"] = self._cuts.by_clusters(jumps, min_dist=self.min_dist)
        else:
            cursor["cuts"] = self._cuts.by_peaks(
                jumps,
                step=self.motion_step,
                times=self.neigh_avg,
                sigma=self.sigma,
                min_dist=self.min_dist,
            )
        del cursor["survey"]

    def _compared(self, film: Any, walk: Cursor) -> Iterator[tuple[Any, float]]:
        """Yield the frames that are looked at, and how far each is from the one before."""
        step_s = 1 / self.frame_rate if self.frame_rate else 0.0
        for frame in film.frames(walk):
            due = walk.get("due", 0.0)
            if step_s and frame.time + 0.5 * film.frame_s < due:
                continue
            walk["due"] = max(due + step_s, frame.time)
            before: NDArray[np.float64] | None = walk.get("look")
            walk["look"] = look = self._looks.look(
                frame.pixels(_LOOK_SIDE),
                descriptor=self.descriptor,
                blocks=self.num_blocks,
                levels=self.max_level,
            )
            walk["number"] = walk.get("number", -1) + 1
            yield frame, 0.0 if before is None else self._distance(before, look)

    def _distance(self, before: NDArray[np.float64], look: NDArray[np.float64]) -> float:
        if self._metric == _EDGES[1]:
            return float(self._looks.edge_change_ratio(before, look, self.dilate_rate))
        return float(self._looks.distance(before, look, self._metric))

    def _is_cut(self, jump: float, shot: Cursor, cursor: Cursor) -> bool:
        if self.detect_method != "threshold":
            return cursor["shots"]["number"] in cursor["cuts"]
        return jump >= self.threshold and shot["count"] >= self.min_dist

    def _seen(self, shot: Cursor, frame: Any) -> Cursor:
        """Return the shot with one more frame; of its frames few are kept, evenly spread."""
        frames: Sequence[Any] = shot["frames"]
        every = shot["every"]
        if shot["count"] % every == 0:
            frames = [*frames, frame.pixels(self.max_side)]
        if len(frames) > _KEPT * self.sframes:
            frames, every = frames[::2], 2 * every
        return {**shot, "count": shot["count"] + 1, "every": every, "frames": list(frames)}

    def _chunk(self, shot: Cursor, end: float) -> Chunk:
        pictures = np.stack(selected(shot["frames"], self.sframes))
        array = pictures[0] if len(pictures) == 1 else pictures
        return Chunk(weight=float(shot["count"]), span=(shot["start"], end), array=array)
