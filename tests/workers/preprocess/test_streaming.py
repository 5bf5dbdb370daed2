"""Films and sounds are cut as they stream: in turns, by one process or several, to the same end."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest

pytest.importorskip("av")

from tests.workers.media import film, sound, tone
from workers.component import Preprocessor, Source, Streaming
from workers.preprocess.films import FrameSelect, VideoFrames
from workers.preprocess.pipeline import PreprocessorPipeline
from workers.preprocess.shots import VideoShots
from workers.preprocess.sounds import AudioWindows, LogMel, SilenceSplit
from workers.testing import PreprocessorContract, StreamingContract, ready

FILMS = {
    "mp4": film([1, 2, 3, 1], length=15),
    "matroska": film([1, 2, 3], length=15, codec="ffv1"),
    "mpeg-ts": film([1, 2, 3], length=15, codec="mpeg2video", container="mpegts"),
    "avi": film([1, 2], length=15, codec="mjpeg", container="avi"),
}
QUIET = np.zeros(12_000, np.float32)
SOUNDS = {
    "two tones": sound(np.concatenate([tone(440, 2.5), QUIET, tone(660, 1), QUIET])),
    "one long": sound(tone(330, 6)),
    "silent": sound(np.zeros(40_000, np.float32)),
    "short": sound(tone(440, 0.2)),
    "crackle": sound(np.tile(np.concatenate([tone(440, 0.05), QUIET[:4000]]), 12)),
}


class Contract(PreprocessorContract, StreamingContract):
    """Both suites over one component."""

    @pytest.fixture
    def preprocessor(self, streaming: Streaming) -> Preprocessor:
        """Give the component to the suite of all preprocessors."""
        return streaming


class TestFilms(Contract):
    """Frames, shots and a pipeline, of films in several containers."""

    @pytest.fixture(
        params=[
            VideoFrames(frame_rate=4, duplicate_rm=False),
            VideoFrames(frame_rate=0, weights="looks"),
            VideoFrames(only_keys=True, weights="ones"),
            VideoShots(threshold=0.1),
            VideoShots(threshold=0.1, sframes=3, max_shot_num=2),
            VideoShots(detect_method="kmeans"),
            VideoShots(detect_method="motion", motion_step=5),
            PreprocessorPipeline(components=[VideoShots(threshold=0.1, sframes=4), FrameSelect()]),
        ],
        ids=lambda it: f"{type(it).__name__} {list(it.options.values())[:3]}",
    )
    def streaming(self, request: pytest.FixtureRequest) -> Streaming:
        """Give one of them, ready."""
        found: Streaming = ready(request.param)
        return found

    @pytest.fixture(params=FILMS)
    def sources(self, request: pytest.FixtureRequest) -> list[Source]:
        """Give a film as a file to open."""
        return [Source("video", opener=partial(io.BytesIO, FILMS[request.param]))]


class TestSounds(Contract):
    """Silence, windows and mel bands, of sounds of several kinds."""

    @pytest.fixture(
        params=[
            SilenceSplit(),
            SilenceSplit(min_sound_s=0.5, max_sound_s=0.8),
            AudioWindows(window_s=1.3),
            AudioWindows(window_s=0.5, hop_s=0.9),
            AudioWindows(window_s=1.0, hop_s=0.4),
            LogMel(),
            LogMel(num_frames=20),
        ],
        ids=lambda it: f"{type(it).__name__} {list(it.options.values())[:4]}",
    )
    def streaming(self, request: pytest.FixtureRequest) -> Streaming:
        """Give one of them, ready."""
        found: Streaming = ready(request.param)
        return found

    @pytest.fixture(params=SOUNDS)
    def sources(self, request: pytest.FixtureRequest) -> list[Source]:
        """Give a sound as a file to open."""
        return [Source("audio", opener=partial(io.BytesIO, SOUNDS[request.param]))]


def test_what_sounds_on_is_cut_where_it_gets_too_long() -> None:
    """Six seconds of a tone, cut at two and a half: three chunks, none lost."""
    chunks = ready(SilenceSplit(max_sound_s=2.5)).apply(Source("audio", data=sound(tone(330, 6))))

    assert [span for chunk in chunks for span in chunk.span] == pytest.approx(
        [0, 2.5, 2.5, 5, 5, 6], abs=0.01
    )


def test_a_file_is_closed_when_a_stream_ends_or_is_given_up() -> None:
    """No decoder keeps a file open."""
    opened: list[io.BytesIO] = []

    def opener() -> io.BytesIO:
        opened.append(io.BytesIO(FILMS["mp4"]))
        return opened[-1]

    frames = ready(VideoFrames())
    frames.apply(Source("video", opener=opener))
    stream = frames.stream(Source("video", opener=opener), {})
    next(stream)
    stream.close()

    assert [file.closed for file in opened] == [True, True]
