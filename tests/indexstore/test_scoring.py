"""Scores: higher is better, the same bits wherever a row lies, and reductions by name."""

from typing import get_args

import numpy as np
import pytest

from indexstore.errors import DimensionError, EngineError, InvalidVectorError
from indexstore.model import IndexConfig, Metric
from indexstore.runs import rows_of, starts_of
from indexstore.scoring import (
    best_columns,
    default_reduction,
    pair_relevance,
    reduce_runs,
    relevance,
    run_sums,
)
from indexstore.vectors import checked_rows

METRICS: tuple[Metric, ...] = ("ip", "cosine", "l2", "hamming")


@pytest.mark.parametrize("metric", METRICS)
def test_both_ways_to_score_agree(metric: Metric) -> None:
    """A matrix of scores and scores pair by pair are the same, and a row is its own best."""
    rows = checked_rows(np.random.default_rng(0).standard_normal((20, 7)), dim=7, metric="cosine")

    every = np.arange(20)
    matrix = relevance(metric, rows, rows)
    pairs = pair_relevance(metric, rows, np.repeat(every, 20), rows, np.tile(every, 20))

    assert pairs.reshape(20, 20) == pytest.approx(matrix, abs=2e-3)
    assert np.diag(matrix) == pytest.approx(matrix.max(axis=1), abs=2e-3)


def test_a_row_is_scored_the_same_in_any_company() -> None:
    """Rounded to single precision, a score does not depend on the batch it is computed in."""
    rng = np.random.default_rng(1)
    query, rows = rng.standard_normal((1, 384)), rng.standard_normal((500, 384))

    first, every = np.zeros(1, np.int64), np.arange(500)
    together = pair_relevance("ip", query, np.repeat(first, 500), rows, every).astype(np.float32)
    alone = [
        pair_relevance("ip", query, first, rows[i : i + 1], first).astype(np.float32)[0]
        for i in range(500)
    ]

    assert together.tolist() == alone


@pytest.mark.parametrize("metric", get_args(Metric))
def test_pairs_are_scored_the_same_in_blocks(metric: Metric) -> None:
    """Blocks change no bit of any score, whatever the metric."""
    rng = np.random.default_rng(6)
    rows = rng.integers(0, 300, (40, 5)).astype(np.float32)
    rows[:, 0] = 256 + rng.integers(0, 3, 40) if metric == "buckets" else rows[:, 0] % 256
    rows[:, 1:] %= 256
    asked, stored = rng.integers(0, 40, (2, 1300))

    blocks = pair_relevance(metric, rows, asked, rows, stored)
    one_by_one = [
        pair_relevance(metric, rows, asked[i : i + 1], rows, stored[i : i + 1])[0]
        for i in range(len(asked))
    ]

    assert blocks.tolist() == one_by_one
    table = relevance(metric, rows, rows)[asked, stored]
    assert blocks == pytest.approx(table, rel=1e-5, abs=1e-6)


def test_runs_are_reduced_by_name() -> None:
    """Each run of chunks becomes one score."""
    values, starts = np.array([[1.0, 2.0, 3.0, 4.0]]), np.array([0, 3])

    reduced = {
        name: reduce_runs(values, starts, name).tolist()
        for name in ("sum", "avg", "max", "min", "multiply")
    }

    assert reduced == {
        "sum": [[6.0, 4.0]],
        "avg": [[2.0, 4.0]],
        "max": [[3.0, 4.0]],
        "min": [[1.0, 4.0]],
        "multiply": [[6.0, 4.0]],
    }


def test_nothing_is_reduced_to_nothing() -> None:
    """No runs give no scores and no sums."""
    none = np.empty(0, np.int64)

    assert reduce_runs(np.empty((2, 0)), none, "sum").shape == (2, 0)
    assert run_sums(np.empty((0, 3)), none, np.empty(0)).shape == (0, 3)


def test_rows_of_some_members_follow_each_other() -> None:
    """The rows of members 2 and 0, of lengths 1 and 2."""
    rows, begins = rows_of(starts_of([2, 3, 1]), np.array([2, 0]))

    assert (rows.tolist(), begins.tolist()) == ([5, 0, 1], [0, 1])


def test_best_columns_are_sorted_and_at_most_all() -> None:
    """The best come first; a limit over the width gives the width."""
    scores = np.array([[1.0, 3.0, 2.0]], np.float32)

    assert best_columns(scores, 2)[1].tolist() == [[1, 2]]
    assert best_columns(scores, 9)[1].tolist() == [[1, 2, 0]]


def test_an_unknown_score_is_refused() -> None:
    """A flow that misspells its score is told so."""
    with pytest.raises(EngineError, match="did you mean 'max'"):
        default_reduction(IndexConfig("v", options={"score": "maxx"}))


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([[1.0, 2.0]], DimensionError),
        ([[1.0, np.nan, 0.0]], InvalidVectorError),
        ([[1.0, np.inf, 0.0]], InvalidVectorError),
    ],
)
def test_rows_that_cannot_be_compared_are_refused(
    rows: list[list[float]], error: type[Exception]
) -> None:
    """A wrong width, a NaN and an infinity are no vectors."""
    with pytest.raises(error):
        checked_rows(rows, dim=3, metric="cosine")


def test_a_row_without_direction_stays_without() -> None:
    """It spoils no row beside it."""
    rows = checked_rows([[0.0, 0.0], [0.0, 2.0]], dim=2, metric="cosine")

    assert rows.tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_huge_but_finite_rows_are_welcome() -> None:
    """Numbers whose squares overflow are finite all the same."""
    rows = checked_rows([[3e38, 0.0], [0.0, -3e38]], dim=2, metric="cosine")

    assert rows.tolist() == [[1.0, 0.0], [0.0, -1.0]]


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_rows_whose_scores_would_overflow_are_refused(metric: Metric) -> None:
    """Without their length taken away, such rows would score infinitely."""
    with pytest.raises(InvalidVectorError, match="too long"):
        checked_rows([[1.0, 0.0], [0.0, -3e38]], dim=2, metric=metric)
