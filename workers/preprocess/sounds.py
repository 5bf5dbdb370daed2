"""Sounds cut into chunks: whole, between silences, in windows; places in seconds."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Cursor, Placed, Preprocessor, Source, Streaming
from workers.errors import ContentError, MissingLibraryError

Samples = NDArray[np.float32]

#: What an encoder reads must be at the rate that the preprocessor gave it.
SAMPLE_RATE = 16_000
AV = "av==18.1.0"
_LONGEST_WHOLE = 20.0  # minutes of a sound that is held as a whole
_LONGEST = 24 * 60.0  # ... and of one that is read as it streams


class SoundReader(Preprocessor):
    """What reads sounds at a rate of its own."""

    inputs = ("audio",)
    sample_rate: int = SAMPLE_RATE
    max_minutes: float = _LONGEST

    def setup(self) -> None:
        """Load the decoder."""
        title = type(self).names()[0]
        try:
            from workers.models import sounds  # noqa: PLC0415  (av is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, str(error.name), AV) from error
        self._sounds = sounds

    def check(self) -> None:
        """Refuse options that no sound can have."""
        if self.sample_rate < 1 or self.max_minutes <= 0:
            raise ValueError("sample_rate must be at least 1 and max_minutes over 0")

    def blocks(self, source: Source, skip: int = 0) -> Iterator[Samples]:
        """Yield the samples of a source from the ``skip``-th on, a little at a time.

        Raises:
            ContentError: the source is no sound, or a longer one than the limit.
        """
        if source.array is not None:
            yield np.asarray(source.array, np.float32).reshape(-1)[skip:]
            return
        if not source.is_file:
            raise ContentError("this preprocessor reads sounds", "send the document as audio")
        count, limit = skip, round(self.max_minutes * 60 * self.sample_rate)
        with self._sounds.Sound(source.open(), sample_rate=self.sample_rate) as sound:
            for block in sound.blocks(skip):
                count += len(block)
                if count > limit:
                    raise ContentError(
                        f"the sound is longer than {self.max_minutes:g} minutes",
                        "cut it into parts, or raise max_minutes",
                    )
                yield block

    def chunk(self, samples: Samples, start: int, end: int) -> Chunk:
        """Return samples as a chunk that stands at [start, end); it weighs its length."""
        span = (start / self.sample_rate, end / self.sample_rate)
        return Chunk(weight=float(end - start), span=span, array=np.ascontiguousarray(samples))


class SoundPreprocessor(SoundReader, Streaming):
    """What cuts sounds as they stream; a chunk weighs its share of all."""

    def settle(self, placed: Placed, cursor: Cursor) -> Placed:
        """Let weights be shares."""
        del cursor
        total = max(float(placed.weights.sum()), 1e-12)
        return replace(placed, weights=placed.weights / total)


class WholeSound(SoundReader):
    """The whole sound as one chunk of weight 1, mono.

    Args:
        sample_rate: samples a second; the encoder's must be the same.
        max_minutes: longer sounds are refused.
    """

    aliases: ClassVar[tuple[str, ...]] = ("UnaryAudio",)

    def __init__(
        self, *, sample_rate: int = SAMPLE_RATE, max_minutes: float = _LONGEST_WHOLE
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()

    def apply(self, source: Source) -> list[Chunk]:
        """Return the one chunk."""
        samples = np.concatenate(list(self.blocks(source)))
        return [replace(self.chunk(samples, 0, len(samples)), weight=1.0)]


class SilenceSplit(SoundPreprocessor):
    """A chunk for what sounds between two silences; a silent file is one chunk.

    Args:
        sample_rate: samples a second; the encoder's must be the same.
        noise_db: what is quieter than this, in decibels under full scale, is silence.
        min_silence_s: how long it must be quiet.
        min_sound_s: shorter sounds are left out, unless there are no others.
        max_sound_s: what sounds on for longer is cut there.
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
        max_sound_s: float = 60.0,
        max_minutes: float = _LONGEST,
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()
        if min_silence_s <= 0 or min_sound_s < 0 or noise_db > 0 or max_sound_s <= min_sound_s:
            raise ValueError(
                "min_silence_s is over 0, min_sound_s at least 0, noise_db at most 0, "
                "max_sound_s over min_sound_s"
            )
        self.noise_db, self.min_silence_s = noise_db, min_silence_s
        self.min_sound_s, self.max_sound_s = min_sound_s, max_sound_s

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield the sounds in order, each when it has ended."""
        sounding = _Sounding.of(cursor)
        for block in self.blocks(source, sounding.end):
            cursor.setdefault("opening", block)
            sounding.add(block)
            runs = self._runs(block, sounding.end - len(block))
            for start, samples in self._ended(sounding, runs):
                cursor["sounds"] = cursor.get("sounds", 0) + 1
                yield self.chunk(samples, start, start + len(samples))
            cursor |= sounding.state()
            yield None
        if sounding.is_loud:
            cursor["sounds"] = cursor.get("sounds", 0) + 1
            start, samples = sounding.cut()
            yield self.chunk(samples, start, start + len(samples))
        if not cursor.get("sounds") and "opening" in cursor:
            yield self.chunk(cursor["opening"], 0, sounding.end)

    def settle(self, placed: Placed, cursor: Cursor) -> Placed:
        """Leave short sounds out where there are others; let weights be shares."""
        is_long = placed.weights >= self.min_sound_s * self.sample_rate
        weights = np.where(is_long, placed.weights, 0.0) if is_long.any() else placed.weights
        return super().settle(replace(placed, weights=weights), cursor)

    def _ended(
        self, sounding: "_Sounding", runs: list[tuple[int, int]]
    ) -> Iterator[tuple[int, Samples]]:
        """Yield the sounds that ended with the last block: first sample, samples."""
        for first, last in runs:
            if sounding.is_loud and first - sounding.loud > self._silence:
                yield sounding.cut()
            sounding.hear(first, last)
            while sounding.loud + 1 - sounding.at > self._longest:
                yield sounding.cut(self._longest)
        if sounding.is_loud and sounding.end - sounding.loud > self._silence:
            yield sounding.cut()
        sounding.forget_silence()

    def _runs(self, block: Samples, start: int) -> list[tuple[int, int]]:
        """Return the first and last loud sample of each part of a block between silences."""
        places = np.flatnonzero(np.abs(block) > 10 ** (self.noise_db / 20)) + start
        if not len(places):
            return []
        gaps = np.flatnonzero(np.diff(places) > self._silence)
        firsts = [int(places[0]), *places[gaps + 1].tolist()]
        return list(zip(firsts, [*places[gaps].tolist(), int(places[-1])], strict=True))

    @property
    def _silence(self) -> float:
        return self.min_silence_s * self.sample_rate

    @property
    def _longest(self) -> int:
        return max(1, round(self.max_sound_s * self.sample_rate))


class AudioWindows(SoundPreprocessor):
    """Windows of equal length that slide over a sound; the last may be shorter.

    Args:
        sample_rate: samples a second; the encoder's must be the same.
        window_s: how long a window is.
        hop_s: from the start of one to the start of the next; the window when absent.
        max_minutes: longer sounds are refused.
    """

    def __init__(
        self,
        *,
        sample_rate: int = SAMPLE_RATE,
        window_s: float = 5.0,
        hop_s: float | None = None,
        max_minutes: float = _LONGEST,
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()
        if window_s <= 0 or (hop_s is not None and hop_s <= 0):
            raise ValueError("window_s and hop_s must be over 0")
        self.window_s, self.hop_s = window_s, hop_s or window_s

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield the windows, in order; one begins while half of it is still to come."""
        window = max(1, round(self.window_s * self.sample_rate))
        hop = max(1, round(self.hop_s * self.sample_rate))
        held = _Held.of(cursor)
        for block in self.blocks(source, held.end):
            held.add(block)
            while held.end >= held.at + window:
                at, part = held.at, held.first(window)
                held.drop(hop)
                yield self.chunk(part, at, at + window)
            cursor |= held.state()
            yield None
        while held.at <= max(held.end - window // 2, 0):
            at, part = held.at, held.first(window)
            held.drop(hop)
            if len(part):
                yield self.chunk(part, at, at + len(part))


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
        max_minutes: float = _LONGEST,
    ) -> None:
        self.sample_rate, self.max_minutes = sample_rate, max_minutes
        self.check()
        if min(num_frames, num_bands) < 1:
            raise ValueError("num_frames and num_bands must be at least 1")
        self.num_frames, self.num_bands = num_frames, num_bands

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield the stretches, in order."""
        window, hop = self._sounds.mel_window(self.sample_rate)
        length = (self.num_frames - 1) * hop + window
        held = _Held.of(cursor)
        for block in self.blocks(source, held.end):
            held.add(block)
            while held.end >= held.at + length:
                yield self._stretch(held, length)
            cursor |= held.state()
            yield None
        if held.at == 0 or held.end >= held.at + window:
            yield self._stretch(held, length)

    def _stretch(self, held: "_Held", length: int) -> Chunk:
        """Return the next stretch, and go on behind it."""
        at, part, end = held.at, held.first(length), held.end
        mel = self._sounds.log_mel(part, sample_rate=self.sample_rate, bands=self.num_bands)
        missing = self.num_frames - len(mel)
        mel = np.pad(mel, ((0, missing), (0, 0)), constant_values=self._sounds.SILENT)
        step = self.num_frames * self._sounds.mel_window(self.sample_rate)[1]
        held.drop(step)
        return replace(self.chunk(mel, at, max(at + 1, min(at + step, end))), weight=1.0)


class _Sounding:
    """What sounds since sample ``at``; ``loud`` is the last sample that was no silence, or -1."""

    def __init__(self, at: int, loud: int, samples: Samples) -> None:
        self.at, self.loud, self._samples = at, loud, samples

    @classmethod
    def of(cls, cursor: Cursor) -> Self:
        """Return what sounded when the stream paused."""
        samples = cursor.get("held", np.empty(0, np.float32))
        return cls(cursor.get("at", 0), cursor.get("loud", -1), samples)

    @property
    def is_loud(self) -> bool:
        """Whether something sounds."""
        return self.loud >= 0

    @property
    def end(self) -> int:
        """How many samples were read."""
        return self.at + len(self._samples)

    def state(self) -> Cursor:
        """Return all that is needed to go on."""
        return {"at": self.at, "loud": self.loud, "held": self._samples}

    def add(self, block: Samples) -> None:
        """Take in what comes next."""
        self._samples = np.concatenate([self._samples, block])

    def hear(self, first: int, last: int) -> None:
        """Note that it is loud from sample ``first`` to ``last``."""
        if not self.is_loud:
            self._samples, self.at = self._samples[first - self.at :], first
        self.loud = last

    def cut(self, count: int | None = None) -> tuple[int, Samples]:
        """Return what sounds, or its first samples, and go on behind it: first sample, samples."""
        start, length = self.at, self.loud + 1 - self.at if count is None else count
        samples = self._samples[:length]
        self._samples, self.at = self._samples[length:], start + length
        if count is None:
            self.loud = -1
        return start, samples

    def forget_silence(self) -> None:
        """Hold nothing where nothing sounds."""
        if not self.is_loud:
            self.at, self._samples = self.end, self._samples[:0]


class _Held:
    """Samples that were read and are still needed, from sample ``at`` of the sound on."""

    def __init__(self, at: int, end: int, samples: Samples) -> None:
        self.at, self.end, self._samples = at, end, samples

    @classmethod
    def of(cls, cursor: Cursor) -> Self:
        """Return what was held when the stream paused."""
        samples = cursor.get("held", np.empty(0, np.float32))
        return cls(cursor.get("at", 0), cursor.get("end", 0), samples)

    def state(self) -> Cursor:
        """Return all that is needed to go on."""
        return {"at": self.at, "end": self.end, "held": self._samples}

    def add(self, block: Samples) -> None:
        """Take in what comes next; what lies before ``at`` is not needed."""
        before = max(0, min(self.at - self.end, len(block)))
        self.end += len(block)
        self._samples = np.concatenate([self._samples, block[before:]])

    def first(self, count: int) -> Samples:
        """Return the first samples held, at most ``count``."""
        return self._samples[:count]

    def drop(self, count: int) -> None:
        """Need the first ``count`` samples no more; some of them may be still to come."""
        self.at += count
        self._samples = self._samples[count:]
