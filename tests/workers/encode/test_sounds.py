"""Encoders of sounds: the contract, and what sounds alike is near."""

import importlib.util

import numpy as np
import pytest

pytest.importorskip("av")

from tests.workers.media import tone
from workers.component import Chunk, Encoder
from workers.encode.sounds import MFCC, SoundEffects
from workers.testing import EncoderContract, ready


def noise(seconds: float, seed: int) -> Chunk:
    """Return white noise."""
    samples = np.random.default_rng(seed).normal(0, 0.1, round(seconds * 16_000))
    return Chunk(array=samples.astype(np.float32))


def tones(*hertz: float) -> Chunk:
    """Return tones at the same time."""
    return Chunk(array=np.asarray(sum(tone(h, 1) for h in hertz) / len(hertz), np.float32))


class SoundContract(EncoderContract):
    """The contract, on sounds of several lengths."""

    @pytest.fixture
    def samples(self) -> list[Chunk]:
        """Return tones, noise, silence and a click."""
        return [tones(440), noise(2.7, 1), Chunk(array=np.zeros(99, np.float32)), noise(0.01, 2)]

    def test_noise_is_nearer_to_noise_than_to_a_tone(self, encoder: Encoder) -> None:
        """Two runs of noise share no sample, and still sound alike."""
        one, other, pure = encoder.encode([noise(1, 1), noise(1, 2), tones(220, 440)])

        assert one @ other > one @ pure


@pytest.mark.parametrize("pooling", ["mean", "statistics", "flat"])
class TestMFCC(SoundContract):
    """Cepstra, pooled in each way."""

    @pytest.fixture
    def encoder(self, pooling: str) -> Encoder:
        """Return the encoder."""
        return ready(MFCC(n_mfcc=13, pooling=pooling))  # type: ignore[arg-type]  # parametrised


@pytest.fixture(scope="module")
def effects() -> Encoder:
    """Return the network, built once."""
    if importlib.util.find_spec("aisfx") is None:
        pytest.skip("aisfx is not installed")
    return ready(SoundEffects())


@pytest.mark.optional
class TestSoundEffects(SoundContract):
    """The network of the installed package."""

    @pytest.fixture
    def encoder(self, effects: Encoder) -> Encoder:
        """Return the encoder."""
        return effects
