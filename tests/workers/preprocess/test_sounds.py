"""Sounds cut into chunks, and what cannot be heard."""

import numpy as np
import pytest

pytest.importorskip("av")

from tests.workers.media import film, sound, tone
from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError
from workers.preprocess.sounds import AudioWindows, LogMel, SilenceSplit, WholeSound
from workers.testing import ready

QUIET = np.zeros(8000, np.float32)


def cut(preprocessor: Preprocessor, data: bytes) -> list[Chunk]:
    """Return the chunks of a sound's bytes."""
    return ready(preprocessor).apply(Source("audio", data=data))


def test_the_whole_sound_is_mono_at_the_rate_asked_for() -> None:
    """Half a second at 44.1 kHz becomes 8000 samples at 16 kHz; a tone stays a tone."""
    (chunk,) = cut(WholeSound(), sound(tone(440, 0.5, rate=44_100), rate=44_100))

    assert chunk.array is not None
    assert len(chunk.array) == pytest.approx(8000, abs=20)
    assert chunk.span == pytest.approx((0, 0.5), abs=0.01)
    assert np.abs(chunk.array[1000:7000]).max() == pytest.approx(0.5, abs=0.02)


def test_silence_divides() -> None:
    """Two tones with half a second between them are two chunks, at their places."""
    data = sound(np.concatenate([tone(440, 1), QUIET, tone(660, 0.5)]))

    chunks = cut(SilenceSplit(), data)

    assert [tuple(round(t, 1) for t in chunk.span) for chunk in chunks] == [(0.0, 1.0), (1.5, 2.0)]
    assert [chunk.weight for chunk in chunks] == pytest.approx([2 / 3, 1 / 3], abs=0.01)


def test_a_silent_file_is_one_chunk() -> None:
    """Nothing but silence is no reason to fail."""
    (chunk,) = cut(SilenceSplit(), sound(QUIET))

    assert chunk.span == (0, 0.5)


def test_windows_cover_the_sound() -> None:
    """Five seconds in windows of two: two whole ones and what is left."""
    chunks = cut(AudioWindows(window_s=2), sound(tone(440, 5)))

    assert [chunk.span for chunk in chunks] == [(0, 2), (2, 4), (4, 5)]


def test_log_mel_has_the_shape_that_vggish_reads() -> None:
    """Two seconds are three chunks of 96 frames of 64 bands; a tone is loud in one band."""
    chunks = cut(LogMel(), sound(tone(1000, 2)))

    assert [chunk.array.shape for chunk in chunks if chunk.array is not None] == [(96, 64)] * 3
    assert chunks[0].array is not None
    assert chunks[0].array[48].max() - np.median(chunks[0].array[48]) > 3


def test_what_is_no_sound_is_refused_with_a_reason() -> None:
    """Empty and garbled files, silent films and sounds over the limit."""
    for preprocessor, data, reason in (
        (WholeSound(), b"", "empty"),
        (WholeSound(), b"just words", "no sound"),
        (WholeSound(), film([1]), "holds no sound"),
        (WholeSound(max_minutes=0.01), sound(tone(440, 2)), "longer than 0.01 minutes"),
    ):
        with pytest.raises(ContentError, match=reason):
            cut(preprocessor, data)


def test_a_codec_that_nobody_knows_is_refused_with_a_way_out() -> None:
    """A Matroska file whose track is of a codec that does not exist."""
    data = sound(tone(440, 1), codec="pcm_s16le", kind="matroska").replace(b"A_PCM", b"A_NEW")

    with pytest.raises(ContentError, match=r"codec that is not known here; encode it anew"):
        cut(WholeSound(), data)
