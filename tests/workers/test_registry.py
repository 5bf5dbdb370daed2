"""From a name in YAML to a component: aliases, plug-ins, entry points, dotted paths, options."""

import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from compose.plan import ComponentSpec
from workers import registry
from workers.component import Chunk, Encoder, Preprocessor, Source
from workers.encode.hashing import HashingEncoder
from workers.errors import (
    OptionError,
    PluginError,
    UnknownComponentError,
    WrongKindError,
)
from workers.registry import build, create, find, load_plugin

PLUGIN = '''
"""A plug-in."""
import numpy as np
from workers.component import Encoder

class Ones(Encoder):
    """All ones."""

    def __init__(self, *, dim: int, factor: float = {factor}) -> None:
        self.dim, self.factor = dim, factor

    def encode(self, chunks):
        return np.full((len(chunks), self.dim), self.factor, np.float32)
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Path]:
    """A plug-in file with an encoder called Ones."""
    path = tmp_path / "model.py"
    path.write_text(PLUGIN.format(factor=1.0))
    yield path
    for name in [name for name in sys.modules if name.startswith("gnes_plugin_")]:
        del sys.modules[name]


def test_an_alias_leads_to_its_component() -> None:
    """A component answers to its name, its class and its aliases."""
    for name in ("Hashing", "HashingEncoder", "CharEmbeddingEncoder"):
        assert find(name, kind=Encoder) is HashingEncoder


@pytest.mark.parametrize(
    "path", ["workers.encode.hashing.HashingEncoder", "workers.encode.hashing:HashingEncoder"]
)
def test_a_dotted_path_leads_to_a_class(path: str) -> None:
    """Any importable class may be named by its path."""
    assert create(path, {"dim": 8}, kind=Encoder).dim == 8


def test_an_unknown_name_is_told_the_nearest() -> None:
    """A slip of the pen is answered by what was meant."""
    with pytest.raises(UnknownComponentError, match="did you mean Hashing"):
        create("Hashng", kind=Encoder)


def test_a_component_of_another_kind_is_refused() -> None:
    """A preprocessor cannot encode, whatever name it is called by."""
    with pytest.raises(WrongKindError, match="is a preprocessor"):
        create("SentenceSplitter", kind=Encoder)
    with pytest.raises(WrongKindError):
        create("pathlib.Path", kind=Encoder)
    with pytest.raises(UnknownComponentError):
        create("no.such.module.Class", kind=Encoder)


def test_all_faults_of_the_options_are_told_at_once(plugin: Path) -> None:
    """Unknown, mistyped and missing options come in one error, with the nearest name."""
    with pytest.raises(OptionError) as caught:
        create("Ones", {"factr": 1, "factor": "x"}, kind=Encoder, py_path=[str(plugin)])

    assert len(caught.value.faults) == 3
    text = str(caught.value)
    assert "did you mean 'factor'" in text
    assert "factor must be number, not 'x'" in text
    assert "dim is missing (integer)" in text


@pytest.mark.parametrize(("value", "fits"), [(3, True), (3.5, False), (True, False), ("3", False)])
def test_types_are_checked_as_yaml_means_them(value: object, fits: bool) -> None:
    """An integer is an integer: no truth value, no text."""
    if fits:
        assert create("Hashing", {"dim": value}, kind=Encoder).dim == value
    else:
        with pytest.raises(OptionError, match="integer"):
            create("Hashing", {"dim": value}, kind=Encoder)


def test_a_plugin_file_brings_its_components(plugin: Path) -> None:
    """A class of a py_path file is created by its name."""
    encoder = create("Ones", {"dim": 3}, kind=Encoder, py_path=[str(plugin)])

    assert encoder.encode([Chunk(text="a")]).tolist() == [[1.0, 1.0, 1.0]]


def test_later_definitions_override_earlier(plugin: Path, tmp_path: Path) -> None:
    """The last file wins, over other files and over built-in components."""
    other = tmp_path / "other" / "model.py"
    other.parent.mkdir()
    source = PLUGIN.format(factor=2.0)
    other.write_text(source + "\n" + source.replace("class Ones", "class MiniLM"))
    paths = [str(plugin), str(other)]

    assert create("Ones", {"dim": 1}, kind=Encoder, py_path=paths).options["factor"] == 2.0
    assert create("Ones", {"dim": 1}, kind=Encoder, py_path=paths[::-1]).options["factor"] == 1.0
    assert find("MiniLM", kind=Encoder, py_path=paths).__module__.startswith("gnes_plugin_")
    assert find("MiniLM", kind=Encoder).__module__ == "workers.encode.transformer"


def test_a_plugin_file_is_loaded_once_and_again_when_it_changed(plugin: Path) -> None:
    """Equal content is one module; new content is a new one, beside the old."""
    first = load_plugin(plugin)

    assert load_plugin(plugin) is first
    plugin.write_text(PLUGIN.format(factor=5.0))
    assert load_plugin(plugin) is not first


def test_a_broken_plugin_fails_alone_with_its_traceback(tmp_path: Path) -> None:
    """The error shows the line; nothing of the file stays behind, other flows go on."""
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\nraise RuntimeError('no weights here')\n")

    with pytest.raises(PluginError, match=r"(?s)broken\.py.*line 2.*no weights here"):
        create("Anything", kind=Encoder, py_path=[str(broken)])

    assert not [name for name in sys.modules if name.endswith("_broken")]
    assert create("Hashing", kind=Encoder).dim == 256


def test_a_missing_plugin_file_is_named() -> None:
    """A path that is not there is the operator's to mend."""
    with pytest.raises(PluginError, match=r"(?s)gone\.py.*FileNotFoundError"):
        load_plugin("gone.py")


def test_an_unfinished_plugin_says_what_it_lacks(tmp_path: Path) -> None:
    """A class that forgot its verb is refused when the flow is read."""
    path = tmp_path / "half.py"
    path.write_text("from workers.component import Encoder\nclass Half(Encoder):\n    pass\n")

    with pytest.raises(WrongKindError, match="it lacks encode"):
        create("Half", kind=Encoder, py_path=[str(path)])


def test_entry_points_bring_components(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution adds components under the group gnes.components."""
    point = EntryPoint("Mine", "workers.encode.hashing:HashingEncoder", registry.ENTRY_POINTS)
    installed = EntryPoints([point])
    monkeypatch.setattr(registry, "entry_points", installed.select)

    assert find("Mine", kind=Encoder) is HashingEncoder


def test_a_spec_with_a_pipeline_is_its_components_in_order() -> None:
    """What a flow writes as a list becomes one component."""
    spec = ComponentSpec(
        "", pipeline=(ComponentSpec("UnaryPreprocessor"), ComponentSpec("SentenceSplitter"))
    )

    chunks = build(spec, kind=Preprocessor).apply(Source("text", text="One is. Two is."))

    assert [chunk.text for chunk in chunks] == ["One is.", "Two is."]


def test_equal_options_have_equal_fingerprints() -> None:
    """Defaults written out or left out are the same component."""
    assert HashingEncoder().fingerprint() == HashingEncoder(dim=256).fingerprint()
    assert HashingEncoder().fingerprint() != HashingEncoder(dim=128).fingerprint()
