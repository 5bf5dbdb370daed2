"""Sounds: decoded as they stream, and what is heard in them: mel bands, cepstra, silence."""

import io
from collections.abc import Iterator
from functools import cache
from typing import Any, Literal

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from workers.errors import ContentError

Samples = NDArray[np.float32]

_TINY = 1e-10
_QUIET = 0.01  # added before the logarithm, as VGGish does


def read_sound(data: bytes, *, sample_rate: int, max_minutes: float) -> Samples:
    """Return a sound, or the sound of a film, as mono samples in [-1, 1] at this rate.

    Raises:
        ContentError: it is empty, broken, longer than the limit, or holds no sound.
    """
    if not data:
        raise ContentError("the sound is empty: it has no bytes")
    try:
        container = av.open(io.BytesIO(data), metadata_errors="replace")
    except (FFmpegError, ValueError) as error:
        raise ContentError(f"these bytes are no sound that can be opened: {error}") from None
    with container:
        if not container.streams.audio:
            raise ContentError("the file holds no sound")
        limit = round(max_minutes * 60 * sample_rate)
        parts: list[Samples] = []
        count = 0
        for part in _parts(container, sample_rate):
            parts.append(part)
            count += len(part)
            if count > limit:
                raise ContentError(
                    f"the sound is longer than {max_minutes:g} minutes",
                    "cut it into parts, or raise max_minutes",
                )
    if not count:
        raise ContentError("the sound is broken: nothing of it can be decoded")
    return np.concatenate(parts)


def _parts(container: Any, sample_rate: int) -> Iterator[Samples]:
    """Yield the samples until the sound ends or breaks; what came before it breaks stays."""
    resampler = av.AudioResampler(format="fltp", layout="mono", rate=sample_rate)
    try:
        for frame in container.decode(container.streams.audio[0]):
            frame.pts = None
            for made in resampler.resample(frame):
                yield made.to_ndarray()[0].astype(np.float32)
    except FFmpegError:
        pass
    for made in resampler.resample(None):
        yield made.to_ndarray()[0].astype(np.float32)


def loud_parts(
    samples: Samples, *, sample_rate: int, noise_db: float, min_silence_s: float
) -> list[tuple[int, int]]:
    """Return [start, end) of each part between silences, which are quiet for so long."""
    is_loud = np.abs(samples) > 10 ** (noise_db / 20)
    places = np.flatnonzero(is_loud)
    if not len(places):
        return []
    gaps = np.flatnonzero(np.diff(places) > min_silence_s * sample_rate)
    starts = [int(places[0]), *(places[gaps + 1].tolist())]
    ends = [*((places[gaps] + 1).tolist()), int(places[-1]) + 1]
    return list(zip(starts, ends, strict=True))


def power_frames(
    samples: Samples, *, window: int, hop: int, size: int, centred: bool = False
) -> NDArray[np.float32]:
    """Return the power spectrum of overlapping windows, (frames, size // 2 + 1)."""
    if centred:
        samples = np.pad(samples, size // 2)
    if len(samples) < window:
        samples = np.pad(samples, (0, window - len(samples)))
    views = np.lib.stride_tricks.sliding_window_view(samples, window)[::hop]
    shape = np.hanning(window + 1)[:-1].astype(np.float32)
    blocks = [
        np.square(np.abs(np.fft.rfft(views[start : start + 1024] * shape, size))).astype(np.float32)
        for start in range(0, len(views), 1024)
    ]
    return np.concatenate(blocks)


@cache
def mel_bands(
    sample_rate: int, size: int, bands: int, low: float, high: float, norm: Literal["none", "sum"]
) -> NDArray[np.float32]:
    """Return triangular filters on the mel scale (HTK's), (size // 2 + 1, bands)."""
    edges = np.linspace(_mel(low), _mel(high), bands + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    places = np.fft.rfftfreq(size, 1 / sample_rate)[:, None]
    rising = (places - hertz[:-2]) / (hertz[1:-1] - hertz[:-2])
    falling = (hertz[2:] - places) / (hertz[2:] - hertz[1:-1])
    filters = np.clip(np.minimum(rising, falling), 0, None)
    if norm == "sum":
        filters /= np.maximum(filters.sum(axis=0), _TINY)
    return filters.astype(np.float32)


def log_mel(
    samples: Samples, *, sample_rate: int, bands: int, low: float = 125, high: float = 7500
) -> NDArray[np.float32]:
    """Return the logarithm of the mel bands, (frames, bands); a frame is 25 ms, each 10 ms."""
    window, hop = round(0.025 * sample_rate), round(0.010 * sample_rate)
    size = 1 << (window - 1).bit_length()
    power = power_frames(samples, window=window, hop=hop, size=size)
    filters = mel_bands(sample_rate, size, bands, low, min(high, sample_rate / 2), "none")
    return np.asarray(np.log(np.sqrt(power) @ filters + _QUIET), np.float32)


def cepstra(samples: Samples, *, sample_rate: int, count: int, bands: int) -> NDArray[np.float32]:
    """Return mel-frequency cepstral coefficients, (frames, count), in decibels at most 80 deep."""
    size, hop = 2048, 512
    power = power_frames(samples, window=size, hop=hop, size=size, centred=True)
    mel = power @ mel_bands(sample_rate, size, bands, 0, sample_rate / 2, "sum")
    decibels = 10 * np.log10(np.maximum(mel, _TINY))
    decibels = np.maximum(decibels, decibels.max() - 80)
    return np.asarray(decibels @ _cosines(bands)[:, :count], np.float32)


@cache
def _cosines(bands: int) -> NDArray[np.float64]:
    """Return the orthonormal cosine transform, a column a coefficient."""
    places = (np.arange(bands) + 0.5) * np.pi / bands
    matrix = np.cos(places[:, None] * np.arange(bands)[None]) * np.sqrt(2 / bands)
    matrix[:, 0] /= np.sqrt(2)
    return np.asarray(matrix)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))
