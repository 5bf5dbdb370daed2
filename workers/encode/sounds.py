"""Encoders of sounds: cepstra, and a network that was trained on sound effects."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Floats, Rows
from workers.errors import ContentError, MissingLibraryError
from workers.vectors import unit_rows

Samples = NDArray[np.float32]

_AV = "av==18.1.0"
_BLOCK, _BLOCK_HOP = 100, 50  # frames that the network hears at once: about two seconds
_LOUDEST = 9.457798957824707  # of the spectra it was trained on
_EPSILON = 1e-5


class SoundEncoder(Encoder):
    """What encodes samples."""

    inputs: ClassVar[tuple[Any, ...]] = ("audio",)

    def setup(self) -> None:
        """Load what hears."""
        title = type(self).names()[0]
        try:
            from workers.models import sounds  # noqa: PLC0415  (av is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, str(error.name), _AV) from error
        self._sounds = sounds


class MFCC(SoundEncoder):
    """Mel-frequency cepstral coefficients: the colour of a sound; no model, no training.

    Args:
        n_mfcc: coefficients a frame.
        sample_rate: samples a second; the preprocessor's must be the same.
        pooling: statistics gives mean and spread of each coefficient, mean their mean alone, flat
            the first max_length frames one after the other, as in GNES.
        max_length: frames that flat keeps; shorter sounds are filled up by zeros.
    """

    aliases: ClassVar[tuple[str, ...]] = ("MfccEncoder",)
    _BANDS = 128

    def __init__(
        self,
        *,
        n_mfcc: int = 40,
        sample_rate: int = 16_000,
        pooling: Literal["statistics", "mean", "flat"] = "statistics",
        max_length: int = 100,
    ) -> None:
        if not 1 <= n_mfcc <= self._BANDS or min(sample_rate, max_length) < 1:
            raise ValueError(f"n_mfcc is 1 to {self._BANDS}, sample_rate and max_length over 0")
        self.n_mfcc, self.sample_rate, self.pooling = n_mfcc, sample_rate, pooling
        self.max_length = max_length
        self.dim = n_mfcc * {"statistics": 2, "mean": 1, "flat": max_length}[pooling]

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk."""
        rows = [self._row(_samples_of(chunk)) for chunk in chunks]
        return unit_rows(np.stack(rows)) if rows else np.zeros((0, self.dim), np.float32)

    def _row(self, samples: Samples) -> Floats:
        frames = self._sounds.cepstra(
            samples, sample_rate=self.sample_rate, count=self.n_mfcc, bands=self._BANDS
        )
        if self.pooling == "flat":
            flat = np.zeros((self.max_length, self.n_mfcc), np.float32)
            flat[: len(frames)] = frames[: self.max_length]
            return flat.reshape(-1)
        mean = frames.mean(axis=0)
        if self.pooling == "mean":
            return np.asarray(mean, np.float32)
        return np.concatenate([mean, frames.std(axis=0)]).astype(np.float32)


class SoundEffects(SoundEncoder):
    """A network of sound effects and instruments: sounds at 44.1 kHz to 512 dimensions.

    Weights of aiSFX from an installed package (Ma et al., Representation learning for the automatic
    indexing of sound effects libraries, 2022; the model is CC BY 4.0). Runs on ONNX Runtime,
    without torch. Stretches of two seconds are averaged.

    Args:
        sample_rate: samples a second, as the preprocessor gives them; the network wants 44100.
    """

    aliases: ClassVar[tuple[str, ...]] = ("AiSFX", "VggishEncoder")
    former_options: ClassVar[dict[str, str | None]] = {"model_dir": None, "max_length": None}
    dim = 512

    def __init__(self, *, sample_rate: int = 44_100) -> None:
        if sample_rate != 44_100:  # noqa: PLR2004
            raise ValueError("the network hears 44100 samples a second: set the preprocessor so")

    def setup(self) -> None:
        """Build the network from the package's weights."""
        super().setup()
        from workers.models.onnx_session import open_session  # noqa: PLC0415  (loaded in setup)

        found = importlib.util.find_spec("aisfx")
        if found is None or found.origin is None:
            raise MissingLibraryError("SoundEffects", "aisfx", "--no-deps aisfx==0.1.2")
        self._session = open_session(
            _effects_graph(Path(found.origin).parent / "models" / "checkpoint.pth")
        )

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk."""
        rows = [self._row(_samples_of(chunk)) for chunk in chunks]
        return unit_rows(np.stack(rows)) if rows else np.zeros((0, self.dim), np.float32)

    def _row(self, samples: Samples) -> Floats:
        spectrum = self._spectrum(samples)
        last = max(len(spectrum) - _BLOCK, 0)
        starts = [*range(0, last, _BLOCK_HOP), last]
        total = np.zeros(self.dim, np.float64)
        for start in starts:
            block = spectrum[start : start + _BLOCK]
            block = np.pad(block, ((0, _BLOCK - len(block)), (0, 0)))
            (rows,) = self._session.run(["embedding"], {"x": block[None, None]})
            total += rows[0]
        return np.asarray(total / len(starts), np.float32)

    def _spectrum(self, samples: Samples) -> Floats:
        size, hop, bands = 2048, 1024, 96
        samples = samples / max(float(np.abs(samples).max()), 1e-9)
        power = self._sounds.power_frames(samples, window=size, hop=hop, size=size, centred=True)
        mel = power @ self._sounds.mel_bands(44_100, size, bands, 0, 22_050, "sum")
        return np.asarray(np.log10(mel * 10_000 + 1) / _LOUDEST, np.float32)


def _effects_graph(path: Path) -> bytes:
    """Return the network: four blocks of two convolutions, the mean over bands, the max in time."""
    from workers.models.conv_graph import ConvGraph  # noqa: PLC0415  (onnx is loaded in setup)
    from workers.models.torch_file import read_torch_file  # noqa: PLC0415  (as above)

    weights = read_torch_file(path)
    graph = ConvGraph(
        {
            name.partition("embedding_net.")[2]: value
            for name, value in weights.items()
            if "embedding_net." in name
        }
    )
    x = "x"
    for block in range(1, 5):
        for place in (1, 2):
            norm = f"conv_block{block}.bn{place}"
            path_ = f"conv_block{block}.conv{place}"
            x = graph.conv(x, path_, norm, epsilon=_EPSILON, pads=[1, 1, 1, 1])
            x = graph.op("Relu", [x])
        if block < 4:  # noqa: PLR2004  (the last block is not pooled)
            x = graph.op("MaxPool", [x], kernel_shape=[2, 2], strides=[2, 2])
    x = graph.op("ReduceMean", [x], axes=[3], keepdims=0)
    graph.op("ReduceMax", [x], out="embedding", axes=[2], keepdims=0)
    return graph.model(["n", 1, _BLOCK, 96], ["embedding"])


def _samples_of(chunk: Chunk) -> Samples:
    if chunk.array is None or chunk.array.ndim != 1 or not chunk.array.size:
        raise ContentError("this encoder reads sounds", "put a sound preprocessor before it")
    return np.asarray(chunk.array, np.float32)
