"""The default encoder: real weights, on ONNX, without torch."""

import subprocess
import sys

import numpy as np
import pytest

from workers.component import Chunk, Encoder
from workers.encode.transformer import MiniLM
from workers.registry import create
from workers.testing import EncoderContract, ready


@pytest.fixture(scope="module")
def minilm() -> Encoder:
    """The default encoder, loaded once for this file."""
    return ready(create("MiniLM", kind=Encoder))


class TestMiniLM(EncoderContract):
    """MiniLM keeps the contract of encoders."""

    @pytest.fixture
    def encoder(self, minilm: Encoder) -> Encoder:
        """The loaded model."""
        return minilm


def test_texts_of_like_meaning_are_near(minilm: Encoder) -> None:
    """Meaning counts, not words: the known cosines of the model."""
    texts = ["How do I reset my password?", "I forgot my login", "a recipe for apple pie"]

    rows = minilm.encode([Chunk(text=text) for text in texts])

    assert rows[0] @ rows[1] > 0.5
    assert rows[0] @ rows[2] < 0.2


def test_long_texts_are_cut_and_counted() -> None:
    """A text over 256 tokens is cut, not refused, and the tally says how many were."""
    encoder = ready(MiniLM())

    encoder.encode([Chunk(text="short"), Chunk(text="word " * 300), Chunk(text="word " * 254)])

    assert encoder.tally.counts() == {"texts_cut": 1}


def test_what_is_cut_does_not_count() -> None:
    """Beyond the limit nothing changes the vector."""
    encoder = ready(MiniLM(max_tokens=8))

    one, other = encoder.encode([Chunk(text="one " * 6), Chunk(text="one " * 6 + "two")])

    np.testing.assert_allclose(one, other, atol=1e-6)


def test_its_fingerprint_knows_the_weights_and_not_the_batch_size() -> None:
    """What shapes vectors is in the fingerprint, what only changes speed is not."""
    plain = MiniLM().fingerprint()

    assert MiniLM(batch_tokens=64).fingerprint() == plain
    assert MiniLM(max_tokens=64).fingerprint() != plain


def test_the_batch_size_bounds_the_work_and_not_the_answer(minilm: Encoder) -> None:
    """Small batches give the rows of large ones, in the order given."""
    chunks = [Chunk(text="word " * length) for length in (1, 30, 3, 90, 2, 60)]

    rows = ready(MiniLM(batch_tokens=64)).encode(chunks)

    np.testing.assert_allclose(rows, minilm.encode(chunks), atol=1e-5)


def test_it_needs_no_torch() -> None:
    """The default encoder loads and works where torch cannot be imported."""
    script = (
        "import sys; sys.modules['torch'] = None; sys.modules['transformers'] = None\n"
        "from workers.registry import create\n"
        "from workers.component import Chunk, Encoder\n"
        "encoder = create('MiniLM', kind=Encoder); encoder.setup()\n"
        "print(encoder.encode([Chunk(text='a')]).shape)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "(1, 384)"
