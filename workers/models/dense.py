"""The dense layers that some sentence-transformers folders have behind their pooling."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workers.component import Floats
from workers.models.weights import read_weights


@dataclass(frozen=True, slots=True)
class Dense:
    """One linear layer with its activation."""

    weight: Floats
    bias: Floats
    activation: str

    @classmethod
    def read(cls, folder: Path) -> "Dense":
        """Read a layer's folder.

        Raises:
            ValueError: its activation is not known here.
        """
        config = json.loads((folder / "config.json").read_text("utf-8"))
        activation = str(config.get("activation_function", "Identity")).rpartition(".")[2]
        if activation not in ("Identity", "Tanh", "ReLU"):
            raise ValueError(f"activation {activation} of {folder.name} is not supported")
        tensors = read_weights(folder)
        weight = np.asarray(tensors["linear.weight"], np.float32)
        bias = np.asarray(tensors.get("linear.bias", np.zeros(len(weight))), np.float32)
        return cls(weight, bias, activation)

    def __call__(self, rows: Floats) -> Floats:
        """Return the layer's output for rows (n, d)."""
        out = np.asarray(rows @ self.weight.T + self.bias, np.float32)
        if self.activation == "Tanh":
            np.tanh(out, out=out)
        return np.maximum(out, 0) if self.activation == "ReLU" else out
