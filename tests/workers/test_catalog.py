"""The catalog of components is in step with their code."""

import json

import pytest

from compose.catalog import default_catalog
from compose.gnes import our_name
from workers import catalog
from workers.component import Component
from workers.options import options_of
from workers.registry import builtins


def test_the_catalog_file_is_what_the_code_says() -> None:
    """compose/catalog.json is fresh; the cure is `python -m workers.catalog`."""
    assert catalog.PATH.read_text(encoding="utf-8") == catalog.rendered()


def test_every_component_and_option_is_documented() -> None:
    """A component has a summary, and each of its options a text."""
    for cls in builtins():
        assert catalog.describe(cls)["summary"].endswith("."), cls
        missing = [option.name for option in options_of(cls) if not option.doc]
        assert not missing, (cls, missing)


def test_names_are_unique_within_a_kind() -> None:
    """No two components answer to one name."""
    seen: dict[tuple[str, str], type] = {}
    for cls in builtins():
        for name in cls.names():
            assert seen.setdefault((cls.kind, name), cls) is cls, name


def test_a_fixed_dimension_or_the_option_that_holds_it_is_told() -> None:
    """What a flow needs to check dimensions is in the catalog."""
    found = {entry["name"]: entry for entry in json.loads(catalog.rendered())["components"]}

    assert found["MiniLM"]["dim"] == 384
    assert found["Hashing"]["dim"] == {"option": "dim"}
    assert found["TransformerEncoder"]["dim"] is None


@pytest.mark.parametrize("component", builtins(), ids=lambda one: one.__name__)
def test_a_component_s_former_options_hold_in_a_flow_too(component: type[Component]) -> None:
    """What a component says it was called, a flow file may call it."""
    known = default_catalog().find(component.names()[0], [component.kind])

    assert known is not None
    for former, present in component.former_options.items():
        assert our_name(known, former) == present
