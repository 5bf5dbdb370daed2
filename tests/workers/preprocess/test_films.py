"""Films cut into chunks: frames at a rate, shots, and what cannot be read."""

import numpy as np
import pytest

pytest.importorskip("av")

from tests.workers.media import film, sound, tone
from tests.workers.pictures import drawn
from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError
from workers.models.looks import bits_apart, perceptual_hash
from workers.preprocess.films import FrameSelect, VideoFrames, selected
from workers.preprocess.pipeline import PreprocessorPipeline
from workers.preprocess.shots import VideoShots
from workers.testing import ready


def cut(preprocessor: Preprocessor, data: bytes) -> list[Chunk]:
    """Return the chunks of a film's bytes."""
    return ready(preprocessor).apply(Source("video", data=data))


def test_frames_come_at_the_rate_that_is_asked_for() -> None:
    """Six seconds at two frames a second are twelve frames, half a second each."""
    data = film([1, 2, 3])

    chunks = cut(VideoFrames(frame_rate=2, duplicate_rm=False), data)

    assert [chunk.span for chunk in chunks] == [(i / 2, (i + 1) / 2) for i in range(12)]
    assert sum(chunk.weight for chunk in chunks) == pytest.approx(1)
    assert all(chunk.array is not None and chunk.array.shape == (64, 96, 3) for chunk in chunks)


def test_what_looks_the_same_is_left_out() -> None:
    """Three still scenes, the first again at the end: three frames, each until the next."""
    chunks = cut(VideoFrames(frame_rate=5), film([1, 2, 3, 1]))

    assert [round(chunk.span[0], 1) for chunk in chunks] == [0.0, 2.0, 4.0]


def test_a_long_film_is_thinned_out_evenly() -> None:
    """Not more than max_frames chunks, from start to end."""
    chunks = cut(VideoFrames(frame_rate=10, duplicate_rm=False, max_frames=10), film([1, 2, 3]))

    starts = [chunk.span[0] for chunk in chunks]
    assert len(chunks) <= 10
    assert np.diff(starts) == pytest.approx(np.diff(starts)[0])
    assert starts[-1] > 4


def test_key_frames_alone_can_be_taken() -> None:
    """Key frames are a part of all frames, the first among them."""
    chunks = cut(VideoFrames(only_keys=True, duplicate_rm=False), film([1, 2, 3]))

    assert chunks[0].span[0] == 0
    assert 1 <= len(chunks) < 60


@pytest.mark.parametrize(
    "descriptor", ["rgb_histogram", "hsv_histogram", "block_rgb_histogram", "block_hsv_histogram"]
)
def test_shots_begin_where_the_picture_changes(descriptor: str) -> None:
    """Cuts at 2.0 and 4.0 s are found to the frame, by every descriptor."""
    shots = VideoShots(descriptor=descriptor, threshold=0.1)  # type: ignore[arg-type]  # parametrised

    chunks = cut(shots, film([1, 2, 3]))

    assert [tuple(round(t, 1) for t in chunk.span) for chunk in chunks] == [
        (0.0, 2.0), (2.0, 4.0), (4.0, 6.0),
    ]  # fmt: skip
    assert [chunk.weight for chunk in chunks] == pytest.approx([1 / 3] * 3)
    for seed, chunk in zip((1, 2, 3), chunks, strict=True):
        assert chunk.array is not None
        assert (
            bits_apart(perceptual_hash(chunk.array), perceptual_hash(drawn(96, 64, seed=seed))) < 10
        )


def test_a_shot_may_keep_several_frames() -> None:
    """With sframes over 1, a chunk is several frames; FrameSelect takes some of them."""
    data = film([1, 2])

    wide = cut(VideoShots(sframes=4, threshold=0.1), data)
    both = PreprocessorPipeline(
        components=[VideoShots(sframes=4, threshold=0.1), FrameSelect(sframes=2)]
    )
    few = cut(both, data)

    assert [chunk.array.shape for chunk in wide if chunk.array is not None] == [(4, 64, 96, 3)] * 2
    assert [chunk.array.shape for chunk in few if chunk.array is not None] == [(2, 64, 96, 3)] * 2
    assert [chunk.span for chunk in few] == [chunk.span for chunk in wide]


def test_too_many_shots_are_joined_at_their_weakest_cuts() -> None:
    """max_shot_num keeps so many shots, which still cover the film."""
    chunks = cut(VideoShots(threshold=0.1, max_shot_num=2), film([1, 2, 3]))

    assert len(chunks) == 2
    assert chunks[0].span[1] == chunks[1].span[0]


@pytest.mark.parametrize(
    ("frames", "wanted", "kept"),
    [
        (10, 1, [5]),
        (10, 3, [0, 4, 8]),
        (5, 2, [0, 3]),
        (8, 4, [0, 2, 4, 6]),
        (4, 100, [0, 1, 2, 3]),
        (4, -1, [0, 1, 2, 3]),
        (2, 3, [0, 1]),
    ],
)
def test_frames_are_selected_as_in_gnes(frames: int, wanted: int, kept: list[int]) -> None:
    """The cases of GNES 14.6: middle, every so many, or all."""
    chosen = selected([np.array(i) for i in range(frames)], wanted)

    assert [int(frame) for frame in chosen] == kept


def test_nearly_all_frames_are_a_random_but_fixed_choice() -> None:
    """Six of ten: six, in order, the same each time."""
    frames = [np.array(i) for i in range(10)]

    first, again = selected(frames, 6), selected(frames, 6)

    assert len(first) == 6
    assert [int(f) for f in first] == sorted(int(f) for f in first)
    assert [int(f) for f in first] == [int(f) for f in again]


def test_what_is_no_film_is_refused_with_a_reason() -> None:
    """Empty, garbled and soundless-picture files are content errors; a cut-off film is read."""
    whole = film([1, 2], codec="ffv1")

    for data, reason in (
        (b"", "empty"),
        (b"no film at all, just words", "no film"),
        (sound(tone(440, 0.5)), "no pictures"),
    ):
        with pytest.raises(ContentError, match=reason):
            cut(VideoFrames(), data)
    assert cut(VideoFrames(frame_rate=5), whole[: len(whole) * 2 // 3])


def test_a_codec_that_nobody_knows_is_refused_with_a_way_out() -> None:
    """What cannot be decoded here, as rights management or a new codec, is the film's fault."""
    data = film([1], codec="libx264").replace(b"avc1", b"zzzz")

    with pytest.raises(ContentError, match=r"codec that is not known here; encode it anew"):
        cut(VideoShots(), data)
