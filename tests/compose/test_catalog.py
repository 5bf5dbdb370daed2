"""The catalog: what options take, and how long vectors are."""

import pytest

from compose.catalog import Catalog, default_catalog
from compose.component import Component, Option


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("int", [1, -1], ["1", 1.5, True, [1]]),
        ("integer or null", [1, None], ["x", 0.5]),
        ("number", [1, 0.5], ["x", True]),
        ("text", ["x"], [1, None, ["x"]]),
        ("true or false", [True, False], [1, "yes"]),
        ("list of text", [["a"], []], ["a", {}]),
        ("list[str] | None", [["a"], None], ["a"]),
        ("one of a, b", ["a", "b"], ["c", 1, None]),
        ("one of mean, cls or null", ["mean", "cls", None], ["mode"]),
        ("Literal['a', 3]", ["a", 3], ["3", "b"]),
        ("mapping", [{}, {"a": 1}], [[], "a"]),
        ("anything", [1, "a", None, [], {}], []),
        ("np.ndarray", [1, "a"], []),
    ],
)
def test_types_are_read_in_words_and_in_python(
    kind: str, right: list[object], wrong: list[object]
) -> None:
    """The catalog may say "integer or null" or "int | None"; both mean the same."""
    option = Option("x", kind, required=True)

    assert [value for value in right if not option.takes(value)] == []
    assert [value for value in wrong if option.takes(value)] == []


def test_null_stands_for_a_default_of_null() -> None:
    """Writing an option's default out is never wrong."""
    assert Option("x", "int", None).takes(None)


@pytest.mark.parametrize(
    ("dim", "options", "found"),
    [(384, {}, 384), (None, {}, None), ({"option": "n"}, {}, 7), ({"option": "n"}, {"n": 9}, 9),
     ({"option": "n"}, {"n": "$N"}, None), ({"option": "n"}, {"n": -1}, None)],
)  # fmt: skip
def test_the_dimension_is_fixed_or_an_option(
    dim: int | dict[str, str] | None, options: dict[str, object], found: int | None
) -> None:
    """A number, an option's value or its default; None where only a run tells."""
    component = Component("encoder", "A", dim=dim, options=(Option("n", "int", 7),))

    assert component.dimension(options) == found


def test_a_name_is_looked_up_within_its_kind() -> None:
    """Two kinds may share a name; the first component of a kind keeps it."""
    catalog = Catalog(
        (Component("a", "X", ("x",)), Component("b", "X"), Component("a", "Y", ("x",)))
    )

    assert catalog.find("X", ["b"]) == Component("b", "X")
    assert catalog.find("x", ["b", "a"]) == Component("a", "X", ("x",))
    assert catalog.find("Y", ["b"]) is None


def test_the_catalog_of_the_house_is_whole() -> None:
    """Every component says what it is, and every option what it is for."""
    for component in default_catalog().components:
        assert component.summary, component.name
        assert component.module, component.name
        assert all(option.doc for option in component.options), component.name
