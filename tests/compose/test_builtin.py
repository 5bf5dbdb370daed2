"""Engines of the catalog, held in step with the engines of the index store."""

import importlib

import pytest

from compose.builtin import CODES
from compose.catalog import default_catalog
from indexstore.engines.registry import ENGINES


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_s_options_are_those_of_its_class(name: str) -> None:
    """What a flow may set is what the engine takes, with the same defaults."""
    module, _, kind = ENGINES[name].partition(":")
    engine = getattr(importlib.import_module(module), kind)
    component = default_catalog().find(name, ["index"])

    assert component is not None
    listed = {option.name: option.default for option in component.options}
    assert {key: listed.get(key) for key in engine.OPTIONS} == dict(engine.OPTIONS)


@pytest.mark.parametrize("name", ENGINES)
def test_the_codes_an_engine_compares_are_those_of_its_class(name: str) -> None:
    """Which encoders of codes may stand before an engine is what the engine can compare."""
    module, _, kind = ENGINES[name].partition(":")
    engine = getattr(importlib.import_module(module), kind)

    codes = {"bytes", "bits", "buckets"}
    assert CODES.get(name, frozenset()) == engine.METRICS & codes
