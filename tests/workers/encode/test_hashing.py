"""Feature hashing: the model-free encoder."""

import numpy as np
import pytest

from workers.component import Chunk, Encoder
from workers.encode.hashing import HashingEncoder
from workers.errors import OptionError
from workers.registry import create
from workers.testing import EncoderContract, ready


class TestHashingEncoder(EncoderContract):
    """Hashing keeps the contract of encoders."""

    @pytest.fixture
    def encoder(self) -> Encoder:
        """An encoder of few dimensions."""
        return ready(HashingEncoder(dim=64))


def test_texts_that_share_words_are_near() -> None:
    """Shared words, in any case and order, raise the cosine."""
    texts = ["red roses bloom", "Bloom, ROSES!", "a green car"]

    rows = HashingEncoder(dim=512).encode([Chunk(text=text) for text in texts])

    near, far = rows[0] @ rows[1], rows[0] @ rows[2]
    assert near > 0.7
    assert abs(far) < 0.2


def test_chinese_texts_need_no_spaces() -> None:
    """Each Chinese character counts as a word."""
    rows = HashingEncoder(dim=512).encode([Chunk(text="床前明月光"), Chunk(text="明月")])

    assert rows[0] @ rows[1] == pytest.approx(2 / np.sqrt(10), abs=0.05)


def test_a_dimension_below_one_is_refused() -> None:
    """An encoder without dimensions is an error of the flow."""
    with pytest.raises(OptionError, match="dim must be at least 1"):
        create("Hashing", {"dim": 0}, kind=Encoder)
