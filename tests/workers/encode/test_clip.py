"""CLIP by the package's own code, on a small checkpoint that the test makes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("PIL")
pytest.importorskip("ftfy")

import torch

from tests.workers.pictures import drawn
from workers.component import Chunk, Encoder
from workers.encode.clip import CLIP
from workers.errors import OptionError
from workers.models.clip import MEAN, SPREAD, _part
from workers.testing import EncoderContract, ready


def network() -> Any:
    """Return a CLIP of one layer each, with the real vocabulary."""
    torch.manual_seed(0)
    return _part("model").CLIP(16, 32, 1, 64, 16, 77, 49408, 64, 1, 1).eval()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a state dict on disk."""
    try:
        model = network()
    except ModuleNotFoundError:
        pytest.skip("clip-anytorch is not installed")
    path = tmp_path_factory.mktemp("clip") / "tiny.pt"
    torch.save(model.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> Encoder:
    """Return the encoder of that checkpoint."""
    return ready(CLIP(model=str(checkpoint)))


class TestCLIPTexts(EncoderContract):
    """The text tower: any text, of any length."""

    tolerance = 1e-4

    @pytest.fixture
    def encoder(self, loaded: Encoder) -> Encoder:
        """Return it."""
        return loaded

    def test_long_texts_are_cut_and_counted(self, encoder: Encoder) -> None:
        """What goes beyond 77 tokens is told."""
        before = encoder.tally.counts().get("texts_cut", 0)

        encoder.encode([Chunk(text="word " * 200), Chunk(text="short")])

        assert encoder.tally.counts()["texts_cut"] == before + 1


class TestCLIPImages(EncoderContract):
    """The image tower."""

    tolerance = 1e-4

    @pytest.fixture
    def encoder(self, loaded: Encoder) -> Encoder:
        """Return it."""
        return loaded

    @pytest.fixture
    def samples(self) -> list[Chunk]:
        """Return pictures of several shapes."""
        return [Chunk(array=drawn(w, h, seed=w)) for w, h in ((32, 32), (50, 20), (7, 9))]

    def test_its_rows_are_the_models(self, encoder: Encoder) -> None:
        """A picture of the model's own size gives what the package's model gives."""
        picture = drawn(32, 32)
        scaled = (picture / 255 - np.array(MEAN)) / np.array(SPREAD)
        pixels = torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))

        (row,) = encoder.encode([Chunk(array=picture)])

        with torch.no_grad():
            expected = network().encode_image(pixels)[0].numpy()
        np.testing.assert_allclose(row, expected / np.linalg.norm(expected), atol=2e-3)


def test_texts_and_images_may_stand_in_one_batch(loaded: Encoder) -> None:
    """Each chunk goes to its tower and keeps its place."""
    chunks = [Chunk(text="a cat"), Chunk(array=drawn()), Chunk(text="a dog")]

    together = loaded.encode(chunks)

    for row, chunk in zip(together, chunks, strict=True):
        np.testing.assert_allclose(row, loaded.encode([chunk])[0], atol=1e-4)


def test_what_is_no_checkpoint_is_an_error_of_the_option(tmp_path: Path) -> None:
    """A missing file, words, and the weights of something else are told apart."""
    words, other = tmp_path / "words.pt", tmp_path / "other.pt"
    words.write_text("no weights")
    torch.save({"weight": torch.zeros(2)}, other)

    for path, reason in ((tmp_path / "none.pt", "no file"), (words, "read"), (other, "CLIP")):
        with pytest.raises(OptionError, match=reason):
            CLIP(model=str(path)).setup()
