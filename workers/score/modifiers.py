"""One value bent by a function: logarithms, roots, reciprocals."""

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

import numpy as np

from workers.score.formula import Formula, Values

#: Nearest to zero that logarithms and reciprocals are taken of; beyond it they have no value.
_LEAST = 1e-12


def _above_zero(x: Values) -> Values:
    return np.maximum(x, _LEAST)


def _off_zero(x: Values) -> Values:
    return np.where(np.abs(x) < _LEAST, np.copysign(_LEAST, x), x)


Bend = Literal[
    "none", "log", "log1p", "log2p", "ln", "ln1p", "ln2p", "square", "sqrt", "abs", "reciprocal",
    "reciprocal1p", "invert", "invert1p",
]  # fmt: skip
MODIFIERS: Mapping[Bend, Callable[[Values], Values]] = {
    "none": lambda x: x,
    "log": lambda x: np.log10(_above_zero(x)),
    "log1p": lambda x: np.log10(_above_zero(1.0 + x)),
    "log2p": lambda x: np.log10(_above_zero(2.0 + x)),
    "ln": lambda x: np.log(_above_zero(x)),
    "ln1p": lambda x: np.log(_above_zero(1.0 + x)),
    "ln2p": lambda x: np.log(_above_zero(2.0 + x)),
    "square": np.square,
    "sqrt": lambda x: np.sqrt(np.maximum(x, 0.0)),
    "abs": np.abs,
    "reciprocal": lambda x: 1.0 / _off_zero(x),
    "reciprocal1p": lambda x: 1.0 / _off_zero(1.0 + x),
    "invert": np.negative,
    "invert1p": lambda x: 1.0 - x,
}


class Modifier(Formula):
    """Bends the score by a function of it: f(factor * s).

    Where a logarithm, root or reciprocal has no value, its nearest finite one is taken.

    Args:
        modifier: none, log, log1p, log2p (decimal, of x, 1 + x, 2 + x), ln, ln1p, ln2p, square,
            sqrt, abs, reciprocal, reciprocal1p, invert (-x) or invert1p (1 - x).
        factor: what the score is multiplied by first.
    """

    aliases = ("ModifierScoreFn",)
    former_options: ClassVar[dict[str, str | None]] = {"factor_name": None}

    def __init__(self, *, modifier: Bend = "none", factor: float = 1.0) -> None:
        self.modifier: Bend = modifier
        self.factor = factor

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the bent values."""
        del factors
        return MODIFIERS[self.modifier](self.factor * values)
