"""Any ONNX model of images: what it takes and gives is read from the model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.workers.encode.picture_contract import PictureContract
from tests.workers.pictures import drawn
from workers.component import Chunk, Encoder
from workers.encode.onnx_images import OnnxImageEncoder
from workers.encode.pictures import Fit
from workers.errors import OptionError
from workers.testing import ready

pytest.importorskip("PIL")


def saved(
    path: Path,
    nodes: list[onnx.NodeProto],
    shape: list[int | str],
    *,
    kind: int = TensorProto.FLOAT,
    values: Sequence[onnx.TensorProto] = (),
) -> str:
    """Write a model from ``pixels`` of this shape to ``row``; return its path."""
    given = helper.make_tensor_value_info("pixels", kind, shape)
    made = helper.make_tensor_value_info("row", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "model", [given], [made], list(values))
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return str(path)


def averaging(path: Path, weights: NDArray[np.float32], *, batch: int | str = "n") -> str:
    """Write a model that averages each channel and multiplies; return its path."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["pixels"], ["mean"]),
        helper.make_node("Flatten", ["mean"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["row"]),
    ]
    values = [onnx.numpy_helper.from_array(weights, "w")]
    return saved(path, nodes, [batch, 3, 32, 32], values=values)


class TestOnnxImageEncoder(PictureContract):
    """Any model from a file; this one takes three pictures at a time, no more and no less."""

    @pytest.fixture
    def encoder(self, tmp_path: Path) -> Encoder:
        """Return the encoder of a model the test wrote."""
        weights = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
        return ready(OnnxImageEncoder(model=averaging(tmp_path / "mean.onnx", weights, batch=3)))


def test_a_map_is_averaged_over_its_places_and_tokens_over_tokens(tmp_path: Path) -> None:
    """Channels first, channels last, and a row of tokens: the dimension is the channels'."""
    same = [helper.make_node("Identity", ["pixels"], ["row"])]
    tokens = [
        helper.make_node("Transpose", ["pixels"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["last", "shape"], ["row"]),
    ]
    shape = [onnx.numpy_helper.from_array(np.array([0, 64, 3], np.int64), "shape")]
    models = (
        saved(tmp_path / "first.onnx", same, ["n", 3, 8, 8]),
        saved(tmp_path / "last.onnx", same, ["n", 8, 8, 3]),
        saved(tmp_path / "tokens.onnx", tokens, ["n", 3, 8, 8], values=shape),
    )
    colours = np.full((8, 8, 3), (255, 51, 0), np.uint8)

    for model in models:
        encoder = ready(OnnxImageEncoder(model=model, mean=(0, 0, 0), spread=(1, 1, 1)))
        (row,) = encoder.encode([Chunk(array=colours)])

        np.testing.assert_allclose(row, np.array([1, 0.2, 0]) / np.hypot(1, 0.2), atol=1e-6)


def test_a_model_of_bytes_gets_pixels_as_they_are(tmp_path: Path) -> None:
    """Nothing is scaled for a model whose input is uint8."""
    nodes = [
        helper.make_node("Cast", ["pixels"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["values"], ["row"], axes=[1, 2], keepdims=0),
    ]
    path = saved(tmp_path / "bytes.onnx", nodes, ["n", 4, 4, 3], kind=TensorProto.UINT8)
    encoder = ready(OnnxImageEncoder(model=path))

    rows = encoder.rows([np.full((9, 9, 3), (10, 20, 30), np.uint8)])

    np.testing.assert_allclose(rows, [[10, 20, 30]])


def test_fit_says_what_becomes_of_a_picture_that_is_no_square(tmp_path: Path) -> None:
    """Cropped, the edges are lost; squeezed, all is there; padded, the border's colour is added."""
    path = averaging(tmp_path / "mean.onnx", np.eye(3, dtype=np.float32))
    flag = np.zeros((30, 90, 3), np.uint8)
    flag[:, :30], flag[:, 30:60], flag[:, 60:] = (255, 0, 0), (0, 255, 0), (255, 0, 0)

    reds = {}
    fits: tuple[Fit, ...] = ("crop", "squeeze", "pad")
    for fit in fits:
        encoder = ready(OnnxImageEncoder(model=path, fit=fit, mean=(0, 0, 0), spread=(1, 1, 1)))
        reds[fit] = float(encoder.rows([flag])[0, 0])

    assert reds["crop"] == pytest.approx(0, abs=0.02)
    assert reds["squeeze"] == pytest.approx(2 / 3, abs=0.02)
    assert reds["pad"] == pytest.approx(8 / 9, abs=0.02)


def test_what_is_no_such_model_is_an_error_of_the_option(tmp_path: Path) -> None:
    """A missing file, a broken one, one of texts and an unknown output are told apart."""
    broken, texts = tmp_path / "broken.onnx", tmp_path / "texts.onnx"
    broken.write_bytes(b"no model")
    same = [helper.make_node("Identity", ["pixels"], ["row"])]
    saved(texts, same, ["n", 7])
    good = averaging(tmp_path / "mean.onnx", np.eye(3, dtype=np.float32))

    faults: tuple[tuple[dict[str, Any], str], ...] = (
        ({"model": "nowhere.onnx"}, r"no file nowhere\.onnx"),
        ({"model": str(broken)}, "no model that ONNX Runtime can open"),
        ({"model": str(texts)}, "no pictures"),
        ({"model": good, "output": "logits"}, "gives row, not 'logits'"),
        ({"model": good, "device": "tpu"}, "none of auto, cpu, cuda"),
    )
    for options, reason in faults:
        with pytest.raises(OptionError, match=reason):
            OnnxImageEncoder(**options).setup()


def test_a_gpu_that_is_not_there_is_told_with_its_cure(tmp_path: Path) -> None:
    """Who asks for CUDA gets it or learns what to install; nobody is served by the CPU silently."""
    import onnxruntime  # noqa: PLC0415  (asked what it can)

    path = averaging(tmp_path / "mean.onnx", np.eye(3, dtype=np.float32))
    encoder = OnnxImageEncoder(model=path, device="cuda")

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        assert ready(encoder).encode([Chunk(array=drawn())]).shape == (1, 3)
    else:
        with pytest.raises(OptionError, match="pip install onnxruntime-gpu"):
            encoder.setup()
