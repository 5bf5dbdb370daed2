"""Layers of a torch model by name, as GNES's TorchvisionEncoder names them; no code is run.

A layer is the path of a module (``features``, ``classifier[0]``, ``layer4[1].conv2``), which is
called on what the layer before gave, or an expression on ``x``: ``x.view(x.size(0), -1)``,
``x.mean([2, 3])``, ``torch.flatten(x, 1)``, ``F.max_pool2d(x, kernel_size=3, stride=2)``. GNES gave
expressions to ``eval``. Here they are read, and only what is named below is done.
"""

import ast
import importlib
import re
from collections.abc import Callable, Sequence
from typing import Any

_PATH = re.compile(r"(?!x\b|.*__)[A-Za-z_]\w*(?:\.\w+|\[\d+\])*")
_METHODS = frozenset(
    {
        "view", "reshape", "flatten", "mean", "amax", "sum", "size", "permute", "transpose",
        "squeeze", "unsqueeze", "contiguous", "float", "relu",
    }
)  # fmt: skip
_FUNCTIONS = frozenset(
    {
        "flatten", "mean", "amax", "squeeze", "relu", "relu6", "hardswish", "gelu", "softmax",
        "normalize", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
    }
)  # fmt: skip
_HOMES = {
    "torch": "torch", "F": "torch.nn.functional", "nn.functional": "torch.nn.functional",
    "torch.nn.functional": "torch.nn.functional",
}  # fmt: skip

Values = dict[str, Any]
Step = Callable[[Values], Any]


class Layer:
    """One step of a model's way: reads ``x`` and gives the next ``x``.

    Args:
        text: the path of a module, or an expression.

    Raises:
        ValueError: it is neither, or asks for something else than the layers of networks do.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        if _PATH.fullmatch(text.strip()):
            self._step: Step = _module(text.strip(), _x)
            return
        try:
            self._step = _read(ast.parse(text.strip(), mode="eval").body)
        except (SyntaxError, ValueError, RecursionError) as error:
            raise ValueError(f"layers: {text!r}: {error}") from None

    def __call__(self, model: Any, x: Any) -> Any:
        """Return what the layer makes of ``x``.

        Raises:
            ValueError: the model has no such module.
        """
        try:
            return tensor_of(self._step({"m": model, "x": x}))
        except KeyError as error:
            raise ValueError(f"layers: {self.text!r}: the model has no part {error}") from error


def tensor_of(output: Any) -> Any:
    """Return the tensor of what a module gave: itself, or the main one of several."""
    for name in ("pooler_output", "last_hidden_state", "logits"):
        found = getattr(output, name, None)
        if found is not None:
            return found
    if isinstance(output, dict):
        return tensor_of(next(iter(output.values())))
    return tensor_of(output[0]) if isinstance(output, tuple | list) else output


def _x(values: Values) -> Any:
    return values["x"]


def _module(path: str, argument: Step) -> Step:
    name = re.sub(r"\[(\d+)\]", r".\1", path)

    def call(values: Values) -> Any:
        parts = dict(values["m"].named_modules(remove_duplicate=False))
        return parts[name](tensor_of(argument(values)))

    return call


def _read(node: ast.AST) -> Step:
    """Return what an expression does."""
    if isinstance(node, ast.Name) and node.id == "x":
        return _x
    if isinstance(node, ast.Constant | ast.Tuple | ast.List | ast.UnaryOp):
        plain = _plain(node)
        return lambda _: plain
    if isinstance(node, ast.Subscript):
        return _item(node)
    if isinstance(node, ast.Call):
        return _call(node)
    raise ValueError(f"{ast.unparse(node)!r} is no layer and no expression on x")


def _plain(node: ast.AST) -> Any:
    try:
        return ast.literal_eval(ast.unparse(node))
    except ValueError:
        raise ValueError(f"{ast.unparse(node)!r} is no number and no list of numbers") from None


def _item(node: ast.Subscript) -> Step:
    """Read ``x.shape[i]``."""
    place = _plain(node.slice)
    if isinstance(node.value, ast.Attribute) and node.value.attr == "shape":
        inner = _read(node.value.value)
        return lambda values: inner(values).shape[place]
    raise ValueError(f"{ast.unparse(node)!r}: of x, only x.shape[i] is read by its place")


def _call(node: ast.Call) -> Step:
    arguments = [_read(argument) for argument in node.args]
    named = {key.arg: _read(key.value) for key in node.keywords if key.arg is not None}
    if len(named) < len(node.keywords):
        raise ValueError("** is not read")
    path = ast.unparse(node.func)
    home, _, name = path.rpartition(".")
    if home in _HOMES and name in _FUNCTIONS:
        return lambda values: getattr(importlib.import_module(_HOMES[home]), name)(
            *_values(arguments, values), **{key: step(values) for key, step in named.items()}
        )
    if path.startswith("m.") and _PATH.fullmatch(path[2:]) and len(arguments) == 1 and not named:
        return _module(path[2:], arguments[0])
    if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS:
        inner, method = _read(node.func.value), node.func.attr
        return lambda values: getattr(inner(values), method)(
            *_values(arguments, values), **{key: step(values) for key, step in named.items()}
        )
    known = ", ".join(sorted(_METHODS | _FUNCTIONS))
    raise ValueError(f"{path} is not known here; known are m.<layer>(x) and {known}")


def _values(steps: Sequence[Step], values: Values) -> list[Any]:
    return [step(values) for step in steps]
