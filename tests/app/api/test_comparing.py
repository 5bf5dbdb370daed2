"""Vectors that clients bring: what no index could compare is refused at the door."""

from typing import Any

import pytest

from app.api.intake import Context, check
from app.settings import Limits
from compose.plan import IndexPlan
from indexstore.model import Metric


@pytest.mark.parametrize(
    ("vector", "why"),
    [([1, 2, 3], "holds vectors of 2"), ([0, 0], "no direction"), ([1e39, 0], "32 b")],
)
def test_a_document_vector_that_no_index_can_compare_is_refused_alone(
    vector: list[float], why: str
) -> None:
    """Of another length, without direction, or too large: the reason is given."""
    items: list[Any] = [{"text": "a", "vector": vector}, {"text": "b", "vector": [1, 2]}]

    good, bad = check(items, Context(Limits(), indexes=(near("cosine"),)))

    assert list(good) == [1]
    assert (bad[0].field, why in bad[0].reason) == ("vector", True)


@pytest.mark.parametrize("metric", ["ip", "l2"])
def test_a_vector_of_zeros_can_be_compared_by_other_than_direction(metric: Metric) -> None:
    """Products and distances of it are numbers like any."""
    good, bad = check([{"text": "a", "vector": [0, 0]}], Context(Limits(), indexes=(near(metric),)))

    assert (len(good), bad) == (1, [])


def near(metric: Metric) -> IndexPlan:
    """Return an index of two dimensions."""
    return IndexPlan("near", "vector", "hnsw", {}, metric, 2, "", 1, 1, "search.c")
