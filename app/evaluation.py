"""How good rankings are: measures of judged queries, and whether a difference means anything.

Sources: Manning et al., Introduction to Information Retrieval (2008), chapter 8; Järvelin and
Kekäläinen, Cumulated gain-based evaluation of IR techniques (2002), with gains 2^grade - 1;
Smucker et al., A comparison of statistical significance tests for IR evaluation (2007).
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Grades = Mapping[str, int]  # how relevant a document is, 0 for not at all
Scores = NDArray[np.float64]  # (q,) of one measure

SEED = 20191113
ROUNDS = 20_000


def ndcg_at(limit: int, found: Sequence[str], grades: Grades) -> float:
    """Return the discounted gain of the first documents, as a share of the best possible."""
    gains = np.array([2.0 ** grades.get(doc_id, 0) - 1 for doc_id in found[:limit]])
    ideal = np.array([2.0**grade - 1 for grade in sorted(grades.values(), reverse=True)[:limit]])
    discounts = 1 / np.log2(np.arange(limit) + 2)
    best = float(ideal @ discounts[: len(ideal)])
    return float(gains @ discounts[: len(gains)]) / best if best else 0.0


def recall_at(limit: int, found: Sequence[str], grades: Grades) -> float:
    """Return the share of the relevant documents that are among the first."""
    relevant = {doc_id for doc_id, grade in grades.items() if grade > 0}
    return len(relevant & set(found[:limit])) / len(relevant) if relevant else 0.0


def reciprocal_rank_at(limit: int, found: Sequence[str], grades: Grades) -> float:
    """Return 1 / rank of the first relevant document; 0 when it is not among the first."""
    ranks = (rank for rank, doc_id in enumerate(found[:limit], 1) if grades.get(doc_id, 0) > 0)
    return 1 / next(ranks, float("inf"))


def average_precision_at(limit: int, found: Sequence[str], grades: Grades) -> float:
    """Return the mean of the precision at each relevant document among the first."""
    relevant = sum(grade > 0 for grade in grades.values())
    hits, total = 0, 0.0
    for rank, doc_id in enumerate(found[:limit], 1):
        if grades.get(doc_id, 0) > 0:
            hits += 1
            total += hits / rank
    return total / relevant if relevant else 0.0


def significance(better: Scores, than: Scores) -> float:
    """Return p of a paired randomisation test, two-sided: how easily chance makes the difference.

    Args:     better, than: a measure of the same queries, in the same order.
    """
    gain = better - than
    rng = np.random.default_rng(SEED)
    bound, rarer = abs(gain.mean()) - 1e-12, 0
    for _ in range(ROUNDS // 1_000):  # a thousand rounds at a time: memory stays small
        signs = rng.choice([-1, 1], size=(1_000, len(gain)))
        rarer += int((np.abs((signs * gain).mean(axis=1)) >= bound).sum())
    return rarer / ROUNDS
