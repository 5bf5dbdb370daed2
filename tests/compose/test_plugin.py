"""Plug-in files, described from their source alone."""

from pathlib import Path

import pytest

from compose.catalog import default_catalog
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
class Halved(TrainedTransform):
    metric = "bytes"
    def __init__(self, *, dim: int = 4) -> None: ...
class Damped(Product): ...
class Judge(c.Reranker): ...
class Middle(c.Reducer): ...
class Graph(base.Engine):
    OPTIONS = {"degree": 8}
class Mine(MiniLM):
    """MiniLM, otherwise."""
class Codes(PQ):
    def __init__(self, *, num_bytes: int, seed: int = 1) -> None: ...
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
        "Cutter": "preprocessor", "Rank": "router", "Halved": "encoder", "Damped": "score",
        "Judge": "reranker", "Middle": "reducer", "Graph": "index",
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


def test_a_class_is_what_its_base_is_where_it_says_nothing_else(path: Path) -> None:
    """Of a built-in component it has kind, inputs, options and dimension, unless it has its own."""
    found = {one.name: one for one in describe(path, default_catalog().by_class())}

    mine, codes, halved = found["Mine"], found["Codes"], found["Halved"]
    assert (mine.kind, mine.inputs, mine.dim) == ("encoder", ("text",), 384)
    assert [option.name for option in mine.options] == ["max_tokens", "batch_tokens"]
    assert (codes.metric, codes.inputs) == ("bytes", ("embedding",))
    assert codes.dimension({"num_bytes": 8}) == 8
    assert [option.name for option in codes.options] == ["num_bytes", "seed"]
    assert (halved.learns, codes.learns) == (True, True)
    assert (halved.inputs, halved.dim, halved.metric) == (
        ("embedding",), {"option": "dim"}, "bytes",
    )  # fmt: skip


def test_an_engine_s_options_are_those_it_declares_and_those_of_every_index(path: Path) -> None:
    """``OPTIONS`` and dim, metric, score and the score functions of the Indexer."""
    graph = next(one for one in describe(path) if one.name == "Graph")

    defaults = {option.name: option.default for option in graph.options}
    assert (defaults["degree"], defaults["score"], defaults["metric"]) == (8, "sum", "cosine")
    assert {"dim", "score_fn", "normalize_fn"} <= defaults.keys()


DEEP = f"class A(Encoder):\n    def __init__(self, a: {'|'.join(['int'] * 1_200)}): pass\n"


@pytest.mark.parametrize("source", ["class A(:", "\0", "(" * 5_000, "x" * 2_000_000, DEEP])
def test_what_is_no_python_is_said_to_be_none(tmp_path: Path, source: str) -> None:
    """A broken or huge file is a fault, whatever is in it."""
    path = tmp_path / "mine.py"
    path.write_text(source, encoding="utf-8")

    with pytest.raises(ValueError, match="Python|bytes"):  # noqa: RUF043 - one or the other
        describe(path)


def test_a_literal_that_python_could_not_make_is_no_default(tmp_path: Path) -> None:
    """A file is only read: what would raise when it is run is not known."""
    path = tmp_path / "mine.py"
    path.write_text("class A(Encoder):\n    def __init__(self, table={[]: 1}): pass\n")

    assert [one.options for one in describe(path)] == [(Option("table", "any", None),)]
