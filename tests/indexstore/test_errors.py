"""Errors travel: Celery rebuilds them from their arguments."""

import inspect

import pytest

from indexstore import errors
from indexstore.errors import IndexStoreError

ERRORS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, IndexStoreError) and kind is not IndexStoreError
]


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_rebuilt_from_its_args(kind: type[IndexStoreError]) -> None:
    """``cls(*error.args)`` says the same as the error itself."""
    parameters = list(inspect.signature(kind).parameters.values())
    values = [2 if p.annotation in {int, float} else f"<{p.name}>" for p in parameters]
    error = kind(*values)

    again = type(error)(*error.args)

    assert str(again) == str(error)
    assert error.args == tuple(values)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_says_what_the_api_answers(kind: type[IndexStoreError]) -> None:
    """Every error has a status of its kind and a code of its own."""
    assert 400 <= kind.status < 600
    assert [other for other in ERRORS if other.code == kind.code] == [kind]
