"""Sounds: decoded as they stream, and what is heard in them: mel bands, cepstra, silence."""

from collections.abc import Iterator
from functools import cache
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from workers.errors import ContentError

Samples = NDArray[np.float32]

#: A playlist among the uploads must not make the decoder open files or addresses.
OPENING = {"protocol_whitelist": "none"}
_BLOCK_S = 0.5
_TINY = 1e-10
_QUIET = 0.01  # added before the logarithm, as VGGish does
#: What log_mel gives where nothing is heard.
SILENT = float(np.log(_QUIET))


class Sound:
    """A sound, or the sound of a film, that is read from a file; a context manager.

    Args:
        file: to read and seek in; it is closed in the end. sample_rate: of what is read.

    Raises:
        ContentError: it is empty, broken, or holds no sound.
    """

    def __init__(self, file: BinaryIO, *, sample_rate: int) -> None:
        self._file, self._rate = file, sample_rate
        self._container: Any = None
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
        return float(self._container.duration or 0) / av.time_base

    def blocks(self, skip: int = 0) -> Iterator[Samples]:
        """Yield the samples, mono in [-1, 1], about half a second at a time, without the first.

        Until the sound ends or breaks; what came before it breaks stays.

        Raises:
            ContentError: nothing can be decoded.
        """
        left, gathered, count, is_silent = skip, [], 0, not skip
        for part in self._parts():
            is_silent = is_silent and not len(part)
            rest = part[left:]
            left = max(0, left - len(part))
            gathered.append(rest)
            count += len(rest)
            if count >= _BLOCK_S * self._rate:
                yield np.concatenate(gathered)
                gathered, count = [], 0
        if count:
            yield np.concatenate(gathered)
        if is_silent:
            raise ContentError("the sound is broken: nothing of it can be decoded")

    def _open(self) -> None:
        if not self._file.read(1):
            raise ContentError("the sound is empty: it has no bytes")
        self._file.seek(0)
        try:
            options = dict(OPENING)
            self._container = av.open(self._file, metadata_errors="replace", options=options)
        except (FFmpegError, ValueError) as error:
            raise ContentError(f"these bytes are no sound that can be opened: {error}") from None
        if not self._container.streams.audio:
            raise ContentError("the file holds no sound")
        if self._container.streams.audio[0].codec_context is None:
            reason = "the sound is in a codec that is not known here"
            raise ContentError(reason, "encode it anew, as Opus or FLAC for instance")

    def _parts(self) -> Iterator[Samples]:
        resampler = av.AudioResampler(format="fltp", layout="mono", rate=self._rate)
        try:
            for frame in self._container.decode(self._container.streams.audio[0]):
                frame.pts = None
                for made in resampler.resample(frame):
                    yield made.to_ndarray()[0].astype(np.float32)
        except FFmpegError:
            pass
        for made in resampler.resample(None):
            yield made.to_ndarray()[0].astype(np.float32)


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


def mel_window(sample_rate: int) -> tuple[int, int]:
    """Return the samples of a frame of log_mel, and from one to the next."""
    return round(0.025 * sample_rate), round(0.010 * sample_rate)


def log_mel(
    samples: Samples, *, sample_rate: int, bands: int, low: float = 125, high: float = 7500
) -> NDArray[np.float32]:
    """Return the logarithm of the mel bands, (frames, bands); a frame is 25 ms, each 10 ms."""
    window, hop = mel_window(sample_rate)
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
