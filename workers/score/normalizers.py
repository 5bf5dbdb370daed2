"""From distances, which grow as things differ, to scores in (0, 1]: GNES's five normalizers."""

from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from workers.score.formula import Formula, Values


class Normalizer1(Formula):
    """1 / (1 + sqrt(s)): a squared distance of any range becomes a score."""

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the scores."""
        del factors
        return 1.0 / (1.0 + np.sqrt(np.maximum(values, 0.0)))


class Normalizer2(Formula):
    """1 / (1 + s / dim): a distance that grows with the dimension becomes a score.

    Args:
        dim: dimensions of the vectors.
    """

    former_options: ClassVar[dict[str, str | None]] = {"num_dim": "dim"}

    def __init__(self, *, dim: int) -> None:
        self.dim = _positive("dim", dim)

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the scores."""
        del factors
        return 1.0 / (1.0 + values / self.dim)


class Normalizer3(Normalizer2):
    """1 / (1 + sqrt(s) / dim): a squared distance that grows with the dimension becomes a score.

    Args:
        dim: dimensions of the vectors.
    """

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the scores."""
        return super().formula(np.sqrt(np.maximum(values, 0.0)), factors)


class Normalizer4(Formula):
    """1 - s / bytes: a number of differing bytes becomes the share of equal ones.

    Args:
        num_bytes: bytes a code has.
    """

    def __init__(self, *, num_bytes: int) -> None:
        self.num_bytes = _positive("num_bytes", num_bytes)

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the scores."""
        del factors
        return 1.0 - values / self.num_bytes


class Normalizer5(Formula):
    """1 / (1 + sqrt(|s|)): like Normalizer1, of values that may be negative."""

    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the scores."""
        del factors
        return 1.0 / (1.0 + np.sqrt(np.abs(values)))


def _positive(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1, not {value}")
    return value
