"""Plug-in files, described from their source alone."""

from pathlib import Path

import pytest

from compose.component import Option
from compose.plugin import describe

SOURCE = '''
from workers.component import Encoder
import workers.component as c

raise SystemExit("executed")

class Base(Encoder):
    """A base of two."""
    inputs: tuple = ("text",)
    dim = 5
    def __init__(self, path: str, *, depth: int = 3, ratio=0.5, table=make()) -> None: ...

class First(Base):
    """The first one.

    More of it.
    """

class Second(Base):
    dim = 9
    def __init__(self, **anything): ...

class Cutter(c.Preprocessor[int]): ...
class Rank(BaseReduceRouter): ...
class _Hidden(Encoder): ...
class Plain: ...
class Loop(Loop): ...
'''


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A plug-in file that must not be executed."""
    found = tmp_path / "mine.py"
    found.write_text(SOURCE, encoding="utf-8")
    return found


def test_classes_are_found_with_their_kinds(path: Path) -> None:
    """What the base class is called says what a class is; GNES's bases too."""
    assert {component.name: component.kind for component in describe(path)} == {
        "Base": "encoder", "First": "encoder", "Second": "encoder",
        "Cutter": "preprocessor", "Rank": "router",
    }  # fmt: skip


def test_options_are_the_arguments_of_the_constructor(path: Path) -> None:
    """Names, annotations and literal defaults, inherited where a class has no own."""
    first = next(component for component in describe(path) if component.name == "First")

    assert first.options == (
        Option("path", "str", required=True),
        Option("depth", "int", 3),
        Option("ratio", "any", 0.5),
        Option("table", "any", None),
    )
    assert (first.summary, first.inputs, first.dim) == ("The first one.", ("text",), 5)


def test_a_class_that_takes_anything_has_open_options(path: Path) -> None:
    """Under ``**anything`` no option can be called unknown."""
    second = next(component for component in describe(path) if component.name == "Second")

    assert (second.open_options, second.options, second.dim) == (True, (), 9)


@pytest.mark.parametrize("source", ["class A(:", "\0", "(" * 5_000, "x" * 2_000_000])
def test_what_is_no_python_is_said_to_be_none(tmp_path: Path, source: str) -> None:
    """A broken or huge file is a fault, whatever is in it."""
    path = tmp_path / "mine.py"
    path.write_text(source, encoding="utf-8")

    with pytest.raises(ValueError, match="Python|bytes"):  # noqa: RUF043 - one or the other
        describe(path)
