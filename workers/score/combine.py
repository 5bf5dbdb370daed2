"""Several score functions as one: beside each other, or one after another."""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from workers.component import ChunkHits, Explanation, ScoreFunction
from workers.score.formula import MODES, RELEVANCE, Mode, Values, grafted, summary


class Combined(ScoreFunction):
    """Several score functions of the same hits made one: multiply, sum, max, min or avg.

    Args:
        mode: how they are made one.
        operands: the score functions.
    """

    aliases = ("CombinedScoreFn",)
    former_options: ClassVar[dict[str, str | None]] = {"score_mode": "mode"}

    def __init__(self, *, operands: Sequence[ScoreFunction], mode: Mode = "multiply") -> None:
        if not operands:
            raise ValueError("operands must hold at least one score function")
        self.mode: Mode = mode
        self.operands = tuple(operands)

    def score(self, hits: ChunkHits) -> Values:
        """Return the operands' scores made one."""
        scores = np.stack([operand.score(hits) for operand in self.operands])
        return np.asarray(MODES[self.mode](scores), np.float64)

    def explain(self, hits: ChunkHits, row: int) -> Explanation:
        """Return the trees of the operands, in order."""
        return Explanation(
            value=float(self.score(hits)[row]),
            name="Combined",
            doc=summary(type(self)),
            operands=tuple(operand.explain(hits, row) for operand in self.operands),
            params={"mode": self.mode},
        )


class ScorePipeline(ScoreFunction):
    """Score functions one after another, each on what the one before made; a list in YAML.

    Args:
        components: the score functions, in order.
    """

    aliases = ("PipelineScoreFn",)

    def __init__(self, *, components: Sequence[ScoreFunction]) -> None:
        if not components:
            raise ValueError("a pipeline needs at least one component")
        self.components = tuple(components)

    def score(self, hits: ChunkHits) -> Values:
        """Return what the last one makes of it."""
        for component in self.components:
            hits = replace(hits, values=component.score(hits))
        return hits.values

    def explain(self, hits: ChunkHits, row: int) -> Explanation:
        """Return the last one's tree; each score before it is explained in its place."""
        tree: Explanation | None = None
        for component in self.components:
            own = component.explain(hits, row)
            tree = own if tree is None else grafted(own, tree)
            hits = replace(hits, values=component.score(hits))
        if tree is None:
            raise ValueError("a pipeline needs at least one component")
        return tree


class Relevance(ScoreFunction):
    """The score so far, unchanged: the index's own, for use within Combined."""

    aliases = ("identity",)

    def score(self, hits: ChunkHits) -> Values:
        """Return the values."""
        return np.asarray(hits.values, np.float64)

    def explain(self, hits: ChunkHits, row: int) -> Explanation:
        """Return one leaf."""
        return Explanation(float(hits.values[row]), RELEVANCE, summary(type(self)))


class Constant(ScoreFunction):
    """The same number for every hit, for use within Combined.

    Args:
        value: the number.
    """

    aliases = ("const",)

    def __init__(self, *, value: float) -> None:
        self.value = value

    def score(self, hits: ChunkHits) -> Values:
        """Return the number, once a hit."""
        return np.full(len(hits.values), self.value, np.float64)

    def explain(self, hits: ChunkHits, row: int) -> Explanation:
        """Return one leaf."""
        del hits, row
        return Explanation(self.value, "Constant", summary(type(self)))
