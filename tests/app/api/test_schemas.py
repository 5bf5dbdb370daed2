"""Requests are checked as JSON, field by field, in the words of their sender."""

from typing import Any

import numpy as np
import pytest

from app.api.problems import Problem
from app.api.querying import plain_filter
from app.api.schemas.documents import DeleteBody
from app.api.schemas.filters import CheckedFilter
from app.api.schemas.search import SearchBody
from app.settings import Limits
from indexstore.errors import InvalidFilterError


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ([], "", "expected an object"),
        ({}, "query", "needed"),
        ({"query": "x"}, "query", "expected an object"),
        ({"query": {}}, "query", "exactly one of"),
        ({"query": {"text": "a", "vector": [1]}}, "query", "got text and vector"),
        ({"query": {"txet": "a"}}, "query.txet", "did you mean text?"),
        ({"query": {"text": "a"}, "limti": 3}, "limti", "did you mean limit?"),
        ({"query": {"text": "a"}, "limit": "3"}, "limit", "expected a whole number"),
        ({"query": {"text": "a"}, "limit": True}, "limit", "expected a whole number"),
        ({"query": {"text": "a"}, "limit": 0}, "limit", "greater than or equal to 1"),
        ({"query": {"text": "a"}, "offset": -1}, "offset", "greater than or equal to 0"),
        ({"query": {"text": ""}}, "query.text", "at least 1"),
        ({"query": {"text": 5}}, "query.text", "expected a string"),
        ({"query": {"vector": []}}, "query.vector", "one or more numbers"),
        ({"query": {"vector": [1, "2"]}}, "query.vector", "number 1 is '2'"),
        ({"query": {"vector": [1, None]}}, "query.vector", "number 1 is null"),
        ({"query": {"vector": [True]}}, "query.vector", "number 0 is true"),
        ({"query": {"vector": [[1.0]]}}, "query.vector", "numbers only"),
        ({"query": {"vector": [1e39]}}, "query.vector", "too large for 32 bits"),
        ({"query": {"text": "a"}, "params": {"eff": 3}}, "params.eff", "did you mean ef?"),
        ({"query": {"text": "a"}, "token": "x"}, "token", "pattern"),
        ({"query": {"image": {"base64": "", "blob": "b"}}}, "query.image.blob", "pattern"),
    ],
)
def test_a_faulty_search_names_field_and_fault(body: Any, field: str, says: str) -> None:
    """The first fault names its field as the sender wrote it, and what was expected."""
    with pytest.raises(Problem) as caught:
        SearchBody.read(body)

    first = caught.value.members["errors"][0]
    assert caught.value.status == 400
    assert first["field"] == field
    assert says in first["reason"]


@pytest.mark.parametrize("where", ["must", "should", "must_not"])
def test_a_faulty_filter_names_the_condition(where: str) -> None:
    """A fault deep in a filter is reported with its place, by the parser that the shards use."""
    with pytest.raises(InvalidFilterError, match=rf"filter.{where}\[0\].*did you mean"):
        SearchBody.read({"query": {"text": "a"}, "filter": {where: [{"key": "a", "rnage": {}}]}})


def test_a_filter_that_nests_too_deep_is_refused_by_name() -> None:
    """The limit of the settings counts groups in groups."""
    given = {"must": [{"should": [{"must_not": [{"has_id": ["a"]}]}]}]}
    checked = CheckedFilter.of(given)

    assert plain_filter(checked, Limits(max_filter_depth=3)) == given
    with pytest.raises(Problem, match="max_filter_depth"):
        plain_filter(checked, Limits(max_filter_depth=2))


@pytest.mark.parametrize("empty", [{}, {"must": []}, {"must_not": [], "should": []}])
def test_a_delete_by_an_empty_filter_is_refused(empty: Any) -> None:
    """A filter that says nothing would delete everything."""
    with pytest.raises(Problem, match="delete everything"):
        DeleteBody.read({"filter": empty})


def test_all_faults_of_a_request_are_reported_together() -> None:
    """A sender mends a request in one go."""
    with pytest.raises(Problem) as caught:
        SearchBody.read({"query": {"text": "a"}, "limit": 0, "offset": -1, "mode": "best"})

    fields = {error["field"] for error in caught.value.members["errors"]}
    assert fields == {"mode", "limit", "offset"}


def test_a_filter_is_passed_on_as_it_came() -> None:
    """Whole numbers stay whole, names stay JSON's, and what was not said is not said."""
    given = {
        "must": [{"key": "year", "range": {"gte": 2000}}],
        "should": [{"must_not": [{"key": "lang", "match": {"except": ["en", "de"]}}]}],
        "min_should": {"conditions": [{"has_id": ["a"]}], "min_count": 1},
    }

    body = SearchBody.read({"query": {"text": "a"}, "filter": given})

    assert body.filter is not None
    assert body.filter.plain == given


def test_a_vector_becomes_a_float32_row() -> None:
    """Whole numbers and fractions mix; the row is ready for the index."""
    body = SearchBody.read({"query": {"vector": [1, 0.5, -2e-3]}})

    assert body.query.vector is not None
    assert body.query.vector.dtype == np.float32
    assert body.query.vector == pytest.approx([1, 0.5, -2e-3])
