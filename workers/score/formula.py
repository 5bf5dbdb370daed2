"""What score functions are made of: one array formula and the words that explain it."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import ChunkHits, Explanation, ScoreFunction

Values = NDArray[np.float64]

#: Name of the leaf that stands for what was scored before: the index's own score.
RELEVANCE = "relevance"

#: How several values become one.
Mode = Literal["multiply", "sum", "max", "min", "avg"]
MODES: Mapping[Mode, Callable[[NDArray[Any]], Values]] = {
    "multiply": lambda stack: np.prod(stack, axis=0),
    "sum": lambda stack: np.sum(stack, axis=0),
    "max": lambda stack: np.max(stack, axis=0),
    "min": lambda stack: np.min(stack, axis=0),
    "avg": lambda stack: np.mean(stack, axis=0),
}


class Formula(ScoreFunction):
    """A score function that is one formula over the columns of the hits.

    The explanation follows from ``factors``: the columns it read, by name. A subclass gives the
    formula once, and score and explanation cannot disagree.
    """

    def factors(self, hits: ChunkHits) -> Mapping[str, Values]:
        """Return what the formula reads beside the score so far, by name."""
        del hits
        return {}

    @abstractmethod
    def formula(self, values: Values, factors: Mapping[str, Values]) -> Values:
        """Return the new values."""

    def params(self) -> Mapping[str, Any]:
        """Return what a reader must know beside the operands."""
        return {name: value for name, value in self.options.items() if value is not None}

    def score(self, hits: ChunkHits) -> Values:
        """Return the new value of every hit."""
        values = np.asarray(hits.values, np.float64)
        return np.asarray(self.formula(values, self.factors(hits)), np.float64)

    def explain(self, hits: ChunkHits, row: int) -> Explanation:
        """Return the formula's operands for one hit."""
        value = float(hits.values[row])
        operands = [Explanation(value, RELEVANCE, "The score before this function.")]
        factors = self.factors(hits)
        operands += [Explanation(float(column[row]), name, "") for name, column in factors.items()]
        return Explanation(
            value=float(self.score(hits)[row]),
            name=type(self).names()[0],
            doc=summary(type(self)),
            operands=tuple(operands),
            params=self.params(),
        )


def summary(cls: type[ScoreFunction]) -> str:
    """Return the first line of a class's docstring."""
    return (cls.__doc__ or cls.__name__).strip().partition("\n")[0]


def column(values: NDArray[Any]) -> Values:
    """Return a column as float64."""
    return np.asarray(values, np.float64)


def grafted(tree: Explanation, relevance: Explanation) -> Explanation:
    """Return the tree with the score so far replaced by how that one came to be."""
    if tree.name == RELEVANCE and not tree.operands:
        return relevance
    operands = tuple(grafted(operand, relevance) for operand in tree.operands)
    return replace(tree, operands=operands)
