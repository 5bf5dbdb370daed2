"""Sounds cut into chunks: whole, between silences, in windows; places in seconds."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Preprocessor, Source
from workers.errors import ContentError, MissingLibraryError

Samples = NDArray[np.float32]

#: What an encoder reads must be at the rate that the preprocessor gave it.
SAMPLE_RATE = 16_000
AV = "av==18.1.0"
_MAX_MINUTES = 120.0


class SoundPreprocessor(Preprocessor):
    """What cuts samples; those of a chunk when it stands behind another one."""

    inputs = ("audio",)
    sample_rate: int = SAMPLE_RATE
    max_minutes: float = _MAX_MINUTES

    def setup(self) -> None:
        """Load the decoder."""
        title = type(self).names()[0]
        try:
            from workers.models import sounds  # noqa: PLC0415  (av is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, str(error.name), AV) from error
        self._sounds = sounds

    def apply(self, source: Source) -> list[Chunk]:
        """Cut the sound."""
        if source.array is not None:
            return self.cut(np.asarray(source.array, np.float32).reshape(-1))
        if source.data is None:
            raise ContentError("this preprocessor reads sounds", "send the document as audio")
        return self.cut(
            self._sounds.read_sound(
                source.data, sample_rate=self.sample_rate, max_minutes=self.max_minutes
            )
        )

    @abstractmethod
    def cut(self, samples: Samples) -> list[Chunk]:
        """Return the chunks of a sound, their places in seconds."""

    def check(self) -> None:
        """Refuse options that no sound can have."""
        if self.sample_rate < 1 or self.max_minutes <= 0:
            raise ValueError("sample_rate must be at least 1 and max_minutes over 0")

    def chunks(self, samples: Samples, places: list[tuple[int, int]]) -> list[Chunk]:
        """Return a chunk for each [start, end), weighted by its share of them all."""
        total = sum(end - start for start, end in places)
        return [
            Chunk(
                position,
                weight=(end - start) / total,
                span=(start / self.sample_rate, end / self.sample_rate),
                array=np.ascontiguousarray(samples[start:end]),
            )
            for position, (start, end) in enumerate(places)
        ]


class WholeSound(SoundPreprocessor):
    """The whole sound as one chunk of weight 1, mono.

    Args:
        sample_rate: samples a second; the encoder's must be the same.
        max_minutes: longer sounds are refused.
    """

    aliases: ClassVar[tuple[str, ...]] = ("UnaryAudio",)

    def __init__(
        self, *, sample_rate: int = SAMPLE_RATE, max_minutes: float = _MAX_MINUTES
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()

    def cut(self, samples: Samples) -> list[Chunk]:
        """Return the one chunk."""
        return self.chunks(samples, [(0, len(samples))])


class SilenceSplit(SoundPreprocessor):
    """A chunk for what sounds between two silences; a silent file is one chunk.

    Args:
        sample_rate: samples a second; the encoder's must be the same.
        noise_db: what is quieter than this, in decibels under full scale, is silence.
        min_silence_s: how long it must be quiet.
        min_sound_s: shorter sounds are left out, unless there are no others.
        max_minutes: longer sounds are refused.
    """

    aliases: ClassVar[tuple[str, ...]] = ("AudioVanilla",)

    def __init__(
        self,
        *,
        sample_rate: int = SAMPLE_RATE,
        noise_db: float = -60.0,
        min_silence_s: float = 0.3,
        min_sound_s: float = 0.0,
        max_minutes: float = _MAX_MINUTES,
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()
        if min_silence_s <= 0 or min_sound_s < 0 or noise_db > 0:
            raise ValueError("min_silence_s is over 0, min_sound_s at least 0, noise_db at most 0")
        self.noise_db, self.min_silence_s, self.min_sound_s = noise_db, min_silence_s, min_sound_s

    def cut(self, samples: Samples) -> list[Chunk]:
        """Return the sounds, in order."""
        places = self._sounds.loud_parts(
            samples,
            sample_rate=self.sample_rate,
            noise_db=self.noise_db,
            min_silence_s=self.min_silence_s,
        )
        shortest = self.min_sound_s * self.sample_rate
        long = [(start, end) for start, end in places if end - start >= shortest]
        return self.chunks(samples, long or places or [(0, len(samples))])


class AudioWindows(SoundPreprocessor):
    """Windows of equal length over a sound; the last one is what is left, if that is enough.

    Args:
        sample_rate: samples a second; the encoder's must be the same.
        window_s: seconds in a window.
        hop_s: seconds from one window to the next; window_s when absent.
        max_minutes: longer sounds are refused.
    """

    def __init__(
        self,
        *,
        sample_rate: int = SAMPLE_RATE,
        window_s: float = 2.0,
        hop_s: float | None = None,
        max_minutes: float = _MAX_MINUTES,
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()
        if window_s <= 0 or (hop_s is not None and hop_s <= 0):
            raise ValueError("window_s and hop_s must be over 0")
        self.window_s, self.hop_s = window_s, hop_s or window_s

    def cut(self, samples: Samples) -> list[Chunk]:
        """Return the windows, in order."""
        window = max(1, round(self.window_s * self.sample_rate))
        hop = max(1, round(self.hop_s * self.sample_rate))
        starts = range(0, max(len(samples) - window // 2, 0) + 1, hop)
        places = [(start, min(start + window, len(samples))) for start in starts]
        return self.chunks(samples, places)


class LogMel(SoundPreprocessor):
    """What is heard, as pictures: a chunk a stretch of time, (frames, bands), logarithmic.

    The shape that VGGish and its like read. A sound that ends early is filled up by silence.

    Args:
        sample_rate: samples a second.
        num_frames: frames a chunk; 96 of 10 ms are 0.96 s.
        num_bands: mel bands a frame.
        max_minutes: longer sounds are refused.
    """

    aliases: ClassVar[tuple[str, ...]] = ("VggishPreprocessor",)

    def __init__(
        self,
        *,
        sample_rate: int = SAMPLE_RATE,
        num_frames: int = 96,
        num_bands: int = 64,
        max_minutes: float = _MAX_MINUTES,
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()
        if min(num_frames, num_bands) < 1:
            raise ValueError("num_frames and num_bands must be at least 1")
        self.num_frames, self.num_bands = num_frames, num_bands

    def cut(self, samples: Samples) -> list[Chunk]:
        """Return the stretches, in order."""
        mel = self._sounds.log_mel(samples, sample_rate=self.sample_rate, bands=self.num_bands)
        count = -(-len(mel) // self.num_frames)
        quiet = ((0, count * self.num_frames - len(mel)), (0, 0))
        mel = np.pad(mel, quiet, constant_values=mel.min())
        length, end = self.num_frames * 0.01, len(samples) / self.sample_rate
        return [
            Chunk(
                position,
                weight=1 / count,
                span=(position * length, max(position * length, min((position + 1) * length, end))),
                array=np.ascontiguousarray(part),
            )
            for position, part in enumerate(np.split(mel, count))
        ]
