"""A BERT-family encoder as an ONNX graph, built from its config.json and safetensors; no torch.

The graph is the model's forward pass, exactly, in fp32: embeddings, then per layer self-attention
and a feed-forward block, each added to its input and normalised (Vaswani et al. 2017; Devlin et
al. 2019). Batch and length are dynamic. The weights stay outside of the protobuf (which is limited
to 2 GiB) and are handed to the session as they lie in the file.

Inputs: ``input_ids`` and ``attention_mask``, int64 (n, l), padded on the right. Outputs:
``hidden`` float32 (n, l, d), the last layer, and ``mean`` (n, d), its mean over the tokens that
the mask lets in; only what is asked for is computed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from workers.component import Floats

OPSET = 17
#: The newest IR that opset 17's runtimes read.
IR_VERSION = 8
#: Added to the attention of padding: its exponential is exactly 0 in float32.
MASKED = np.float32(-1e9)
#: Initialisers above this many bytes stay outside of the protobuf.
_INLINE_BYTES = 1024

SUPPORTED = ("bert", "roberta", "xlm-roberta", "camembert", "electra")
_ROBERTA = ("roberta", "xlm-roberta", "camembert")
_SQRT_2_OVER_PI = 0.7978845608028654
_GELU_CUBIC = 0.044715


@dataclass(frozen=True, slots=True)
class Shape:
    """The few numbers of a config.json that shape the graph."""

    model_type: str
    layers: int
    heads: int
    hidden: int
    epsilon: float
    activation: str
    pad: int

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> "Shape":
        """Read them.

        Raises:
            ValueError: another family, or a feature that the graph does not build.
        """
        kind = str(config.get("model_type", ""))
        if kind not in SUPPORTED:
            raise ValueError(f"model_type {kind!r} is none of {', '.join(SUPPORTED)}")
        if config.get("position_embedding_type", "absolute") != "absolute":
            raise ValueError("only absolute position embeddings are built")
        if config.get("embedding_size", config["hidden_size"]) != config["hidden_size"]:
            raise ValueError("factorised embeddings (embedding_size) are not built")
        activation = str(config.get("hidden_act", "gelu"))
        if activation not in _ACTIVATIONS:
            raise ValueError(f"hidden_act {activation!r} is none of {', '.join(_ACTIVATIONS)}")
        return cls(
            kind,
            int(config["num_hidden_layers"]),
            int(config["num_attention_heads"]),
            int(config["hidden_size"]),
            float(config.get("layer_norm_eps", 1e-12)),
            activation,
            int(config.get("pad_token_id") or 0),
        )


@dataclass(frozen=True, slots=True)
class Graph:
    """A serialised graph and the weights it wants from outside."""

    model: bytes
    weights: Mapping[str, NDArray[Any]]


def build_graph(config: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Graph:
    """Build the graph of a model from its configuration and weights.

    Raises:
        ValueError: the family is not supported, or a weight is missing.
    """
    shape = Shape.of(config)
    weights = _Weights(tensors, prefix=_prefix(tensors))
    nodes = _Nodes()
    bias = _attention_bias(nodes)
    x = _embed(nodes, weights, shape)
    for layer in range(shape.layers):
        x = _layer(nodes, weights, shape, x=x, bias=bias, path=f"encoder.layer.{layer}")
    nodes.op("Identity", [x], out="hidden")
    _mean(nodes, "hidden")
    return nodes.graph(shape)


class _Weights:
    """The tensors of the file under their plain names, as float32."""

    def __init__(self, tensors: Mapping[str, NDArray[Any]], *, prefix: str) -> None:
        self._tensors, self._prefix = tensors, prefix

    def __call__(self, name: str) -> Floats:
        try:
            tensor = self._tensors[self._prefix + name]
        except KeyError as error:
            raise ValueError(f"the weights lack {self._prefix + name}") from error
        return np.asarray(tensor, dtype=np.float32)

    def linear(self, path: str) -> tuple[Floats, Floats]:
        """Return a dense layer's matrix, turned for ``x @ W``, and its bias."""
        return np.ascontiguousarray(self(f"{path}.weight").T), self(f"{path}.bias")


@dataclass
class _Nodes:
    """Collects nodes and constants; ``op`` returns the name of its output."""

    nodes: list[onnx.NodeProto] = field(default_factory=list)
    inline: list[onnx.TensorProto] = field(default_factory=list)
    outside: dict[str, NDArray[Any]] = field(default_factory=dict)

    def op(self, kind: str, inputs: Sequence[str], *, out: str = "", **attributes: Any) -> str:
        name = out or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def split(self, value: str, *, parts: int) -> list[str]:
        """Cut a tensor into equal parts along its last axis."""
        names = [f"Split_{len(self.nodes)}_{part}" for part in range(parts)]
        self.nodes.append(helper.make_node("Split", [value], names, axis=-1))
        return names

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        array = np.ascontiguousarray(value, dtype=dtype)
        name = f"constant_{len(self.inline) + len(self.outside)}"
        if array.nbytes > _INLINE_BYTES:
            self.outside[name] = array
        else:
            self.inline.append(numpy_helper.from_array(array, name))
        return name

    def linear(self, x: str, weight: Floats, bias: Floats) -> str:
        product = self.op("MatMul", [x, self.constant(weight)])
        return self.op("Add", [product, self.constant(bias)])

    def normalise(self, x: str, weights: _Weights, path: str, epsilon: float) -> str:
        scale, shift = weights(f"{path}.weight"), weights(f"{path}.bias")
        inputs = [x, self.constant(scale), self.constant(shift)]
        return self.op("LayerNormalization", inputs, axis=-1, epsilon=epsilon)

    def graph(self, shape: Shape) -> Graph:
        """Put everything together; large constants are declared, not contained."""
        ids = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "l"])
            for name in ("input_ids", "attention_mask")
        ]
        outputs = [
            helper.make_tensor_value_info("hidden", TensorProto.FLOAT, ["n", "l", shape.hidden]),
            helper.make_tensor_value_info("mean", TensorProto.FLOAT, ["n", shape.hidden]),
        ]
        declared = [_declared(name, array) for name, array in self.outside.items()]
        graph = helper.make_graph(
            self.nodes, "encoder", ids, outputs, initializer=self.inline + declared
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        return Graph(model.SerializeToString(), self.outside)


def _declared(name: str, array: NDArray[Any]) -> onnx.TensorProto:
    """Return an initialiser that says where its values would lie; the session brings them."""
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    tensor = TensorProto(name=name, data_type=kind, dims=array.shape)
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")
    return tensor


def _prefix(tensors: Mapping[str, NDArray[Any]]) -> str:
    """Return what stands before ``embeddings.`` in the weights' names: "", "bert.", ..."""
    end = "embeddings.word_embeddings.weight"
    found = [name.removesuffix(end) for name in tensors if name.endswith(end)]
    if not found:
        raise ValueError(f"the weights hold no {end}; is this an encoder of the BERT family?")
    return min(found, key=len)


def _attention_bias(nodes: _Nodes) -> str:
    """Return (n, 1, 1, l): 0 for tokens, a huge negative for padding."""
    mask = nodes.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    mask = nodes.op("Unsqueeze", [mask, nodes.constant([1, 2], np.int64)])
    padding = nodes.op("Sub", [nodes.constant(1.0), mask])
    return nodes.op("Mul", [padding, nodes.constant(MASKED)])


def _embed(nodes: _Nodes, weights: _Weights, shape: Shape) -> str:
    """Add word, position and (first) token-type embeddings, and normalise."""
    words = nodes.constant(weights("embeddings.word_embeddings.weight"))
    types = weights("embeddings.token_type_embeddings.weight")[0]
    places = nodes.constant(weights("embeddings.position_embeddings.weight") + types)
    word = nodes.op("Gather", [words, "input_ids"])
    place = nodes.op("Gather", [places, _positions(nodes, shape)])
    both = nodes.op("Add", [word, place])
    return nodes.normalise(both, weights, "embeddings.LayerNorm", shape.epsilon)


def _positions(nodes: _Nodes, shape: Shape) -> str:
    """Return each token's position: 0, 1, ...; in RoBERTa they begin behind the padding id."""
    axis = nodes.constant(1, np.int64)
    counted = nodes.op("CumSum", ["attention_mask", axis])
    if shape.model_type in _ROBERTA:
        real = nodes.op("Mul", [counted, "attention_mask"])
        return nodes.op("Add", [real, nodes.constant(shape.pad, np.int64)])
    zero_based = nodes.op("Sub", [counted, nodes.constant(1, np.int64)])
    return nodes.op("Max", [zero_based, nodes.constant(0, np.int64)])


def _layer(nodes: _Nodes, weights: _Weights, shape: Shape, *, x: str, bias: str, path: str) -> str:
    """Self-attention, then feed-forward, each added to its input and normalised."""
    attended = _attention(nodes, weights, shape, x=x, bias=bias, path=f"{path}.attention.self")
    out = nodes.linear(attended, *weights.linear(f"{path}.attention.output.dense"))
    x = nodes.op("Add", [out, x])
    x = nodes.normalise(x, weights, f"{path}.attention.output.LayerNorm", shape.epsilon)
    inner = nodes.linear(x, *weights.linear(f"{path}.intermediate.dense"))
    inner = _ACTIVATIONS[shape.activation](nodes, inner)
    out = nodes.linear(inner, *weights.linear(f"{path}.output.dense"))
    x = nodes.op("Add", [out, x])
    return nodes.normalise(x, weights, f"{path}.output.LayerNorm", shape.epsilon)


def _attention(
    nodes: _Nodes, weights: _Weights, shape: Shape, *, x: str, bias: str, path: str
) -> str:
    """softmax(Q K^T / sqrt(d) + bias) V over all heads; one product makes Q, K and V."""
    size = shape.hidden // shape.heads
    parts = [weights.linear(f"{path}.{name}") for name in ("query", "key", "value")]
    scale = np.float32(size**-0.5)
    parts[0] = (parts[0][0] * scale, parts[0][1] * scale)
    matrix = np.concatenate([part[0] for part in parts], axis=1)
    joint = nodes.linear(x, matrix, np.concatenate([part[1] for part in parts]))
    heads = nodes.constant([0, 0, shape.heads, size], np.int64)
    query, key, value = (
        nodes.op("Transpose", [nodes.op("Reshape", [part, heads])], perm=perm)
        for part, perm in zip(
            nodes.split(joint, parts=3), ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True
        )
    )
    scores = nodes.op("Add", [nodes.op("MatMul", [query, key]), bias])
    mixed = nodes.op("MatMul", [nodes.op("Softmax", [scores], axis=-1), value])
    mixed = nodes.op("Transpose", [mixed], perm=[0, 2, 1, 3])
    return nodes.op("Reshape", [mixed, nodes.constant([0, 0, shape.hidden], np.int64)])


def _mean(nodes: _Nodes, hidden: str) -> None:
    """Mean of the hidden states over the tokens that are no padding."""
    mask = nodes.op("Cast", ["attention_mask"], to=TensorProto.FLOAT)
    row = nodes.op("Unsqueeze", [mask, nodes.constant([1], np.int64)])
    total = nodes.op("Squeeze", [nodes.op("MatMul", [row, hidden]), nodes.constant([1], np.int64)])
    count = nodes.op("ReduceSum", [mask, nodes.constant([1], np.int64)], keepdims=1)
    count = nodes.op("Max", [count, nodes.constant(1.0)])
    nodes.op("Div", [total, count], out="mean")


def _gelu(nodes: _Nodes, x: str) -> str:
    """Gelu, x * (1 + erf(x / sqrt 2)) / 2, in the order of operations that runtimes fuse."""
    inner = nodes.op("Erf", [nodes.op("Div", [x, nodes.constant(np.sqrt(2.0))])])
    grown = nodes.op("Mul", [x, nodes.op("Add", [inner, nodes.constant(1.0)])])
    return nodes.op("Mul", [grown, nodes.constant(0.5)])


def _gelu_tanh(nodes: _Nodes, x: str) -> str:
    """Gelu by tanh, as GPT-2 and some BERTs were trained."""
    cube = nodes.op("Mul", [x, nodes.op("Mul", [x, x])])
    inner = nodes.op("Add", [x, nodes.op("Mul", [cube, nodes.constant(_GELU_CUBIC)])])
    inner = nodes.op("Tanh", [nodes.op("Mul", [inner, nodes.constant(_SQRT_2_OVER_PI)])])
    grown = nodes.op("Mul", [x, nodes.op("Add", [inner, nodes.constant(1.0)])])
    return nodes.op("Mul", [grown, nodes.constant(0.5)])


def _relu(nodes: _Nodes, x: str) -> str:
    return nodes.op("Relu", [x])


_ACTIVATIONS = {
    "gelu": _gelu,
    "gelu_new": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "relu": _relu,
}
