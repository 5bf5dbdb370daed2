"""Token vectors pooled to one, and texts put into batches of like length (cases 14.7)."""

import numpy as np
import pytest

from workers.component import Chunk, Encoder
from workers.models.batches import length_sorted, padded
from workers.models.model_folder import Pooling
from workers.models.pooling import pool
from workers.registry import create

HIDDEN = np.array([[[1, 2], [3, 4], [9, 9]]], np.float32)
MASK = np.array([[1, 1, 0]])
POOLED: list[tuple[Pooling, list[float]]] = [
    ("mean", [2, 3]), ("max", [3, 4]), ("mean-max", [2, 3, 3, 4]), ("cls", [1, 2]),
]  # fmt: skip


@pytest.mark.parametrize(("how", "row"), POOLED)
def test_padding_counts_nothing(how: Pooling, row: list[float]) -> None:
    """[[1, 2], [3, 4], [9, 9]] of which the last is padding (14.7)."""
    assert pool(HIDDEN, MASK, how=how).tolist() == [row]


@pytest.mark.parametrize(
    ("strategy", "row"),
    [("REDUCE_MEAN", [2, 3]), ("REDUCE_MAX", [3, 4]), ("REDUCE_MEAN_MAX", [2, 3, 3, 4])],
)
def test_gnes_s_strategies_pool_the_tokens_of_a_chunk(strategy: str, row: list[float]) -> None:
    """The component behind an encoder of tokens knows GNES's words."""
    encoder = create("PoolingEncoder", {"pooling_strategy": strategy}, kind=Encoder)

    assert encoder.encode([Chunk(array=HIDDEN[0, :2])]).tolist() == [row]


def test_a_row_without_tokens_is_zeros() -> None:
    """Nothing to pool is no NaN."""
    for how, row in POOLED[:3]:
        assert pool(HIDDEN, np.zeros((1, 3)), how=how).tolist() == [[0.0] * len(row)]


def test_texts_of_like_length_make_a_batch() -> None:
    """Every text is in one batch, longest first, and no batch has more padded tokens than asked."""
    lengths = [3, 9, 1, 4, 9, 2, 40, 4]

    batches = list(length_sorted(lengths, budget=20))

    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert batches[0] == [6]  # longer than the budget: alone
    longest = [max(lengths[row] for row in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
    assert all(len(batch) * width <= 20 for batch, width in list(zip(batches, longest))[1:])  # noqa: B905  (equal)


def test_no_texts_make_no_batch() -> None:
    """An empty list is no batch, and pads to nothing."""
    assert list(length_sorted([], budget=8)) == []
    assert [one.shape for one in padded([])] == [(0, 0), (0, 0)]
