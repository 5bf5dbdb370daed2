"""What every encoder of pictures must do."""

from typing import ClassVar

import numpy as np
import pytest

from tests.workers.pictures import drawn
from workers.component import Chunk
from workers.testing import EncoderContract


def pictures() -> list[Chunk]:
    """Return pictures of several shapes, and a shot of two frames."""
    shapes = [(40, 30), (300, 200), (1, 1), (224, 224)]
    chunks = [Chunk(i, array=drawn(w, h, seed=i)) for i, (w, h) in enumerate(shapes)]
    return [*chunks, Chunk(4, array=np.stack([drawn(seed=8), drawn(seed=9)]))]


class PictureContract(EncoderContract):
    """The contract, on pictures."""

    tolerance: ClassVar[float] = 1e-4

    @pytest.fixture
    def samples(self) -> list[Chunk]:
        """Return some pictures."""
        return pictures()
