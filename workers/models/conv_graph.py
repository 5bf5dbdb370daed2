"""Convolutional networks as ONNX graphs, built from weights; no torch."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from workers.models.bert_graph import IR_VERSION, OPSET


class ConvGraph:
    """A graph under construction: every method adds a node and returns its output's name."""

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._values: list[Any] = []

    def weight(self, name: str) -> NDArray[np.float32]:
        """Return a weight by its name.

        Raises:
            ValueError: there is none.
        """
        if name not in self._weights:
            raise ValueError(f"the weights lack {name}")
        return np.asarray(self._weights[name], np.float32)

    def has(self, name: str) -> bool:
        """Tell whether there is such a weight."""
        return name in self._weights

    def op(self, kind: str, inputs: Sequence[str], *, out: str = "", **attributes: Any) -> str:
        """Add a node of one output."""
        name = out or f"v{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: NDArray[Any]) -> str:
        """Add a constant."""
        name = f"c{len(self._values)}"
        self._values.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, x: str, path: str, norm: str, *, epsilon: float, **attributes: Any) -> str:
        """Add a convolution with the batch normalisation behind it folded into its weights."""
        weight = self.weight(f"{path}.weight")
        variance, mean = self.weight(f"{norm}.running_var"), self.weight(f"{norm}.running_mean")
        scale = self.weight(f"{norm}.weight") / np.sqrt(variance + np.float32(epsilon))
        bias = self.weight(f"{norm}.bias") - mean * scale
        folded = self.constant(weight * scale[:, None, None, None])
        return self.op("Conv", [x, folded, self.constant(bias)], **attributes)

    def relu6(self, x: str) -> str:
        """Add a rectifier that ends at 6."""
        low, high = self.constant(np.array(0, np.float32)), self.constant(np.array(6, np.float32))
        return self.op("Clip", [x, low, high])

    def scaled(self, x: str, mean: np.float32, spread: np.float32) -> str:
        """Add what makes pixels, uint8 (n, h, w, 3), into values (n, 3, h, w) around 0."""
        values = self.op(
            "Transpose", [self.op("Cast", [x], to=TensorProto.FLOAT)], perm=[0, 3, 1, 2]
        )
        centred = self.op("Sub", [values, self.constant(np.asarray(mean))])
        return self.op("Div", [centred, self.constant(np.asarray(spread))])

    def model(
        self, inputs: Sequence[int | str], outputs: Sequence[str], *, pixels: bool = False
    ) -> bytes:
        """Return the graph of the input ``x`` of this shape, float32 or uint8, serialised."""
        kind = TensorProto.UINT8 if pixels else TensorProto.FLOAT
        given = helper.make_tensor_value_info("x", kind, list(inputs))
        made = [helper.make_tensor_value_info(o, TensorProto.FLOAT, ["n", "d"]) for o in outputs]
        graph = helper.make_graph(self._nodes, "network", [given], made, self._values)
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION)
        onnx.checker.check_model(model)
        raw: bytes = model.SerializeToString()
        return raw
