"""YAML text to nodes: what is read, where it stands, and what is refused before it costs."""

import time

import pytest

from compose.errors import FlowError
from compose.source import MAX_CHARACTERS, read_yaml

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)

HOSTILE = {
    "anchor bomb": BOMB,
    "brackets": "[" * 60_000,
    "braces": "{" * 60_000,
    "dashes": "- " * 30_000,
    "question marks": "? " * 30_000,
    "too large": "a: " + "x" * MAX_CHARACTERS,
    "too many values": "[" + "1," * 30_000 + "]",
    "an alias to itself": "a: &a [*a]",
    "aliases without end": "a: &a 1\nb: [" + "*a, " * 20_000 + "]",
    "open quote": '"' + "a" * 60_000,
    "open tag": "!<" + "a" * 60_000,
    "control character": "a: \x00",
    "half a surrogate": "a: \ud800",
    "anchors only": "&a " * 20_000,
    "two documents": "a: 1\n---\nb: 2",
    "a key twice": "a: 1\na: 2",
    "a list as key": "? [a]\n: 1",
    "a wrong version": "%YAML 9.9\n---\na: 1",
    "a redefined tag": "%TAG ! tag:evil,2000:\n---\n!a b",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_text_is_refused_within_a_second(text: str) -> None:
    """Whatever the text does, it is refused with one fault, and soon."""
    started = time.process_time()

    with pytest.raises(FlowError) as caught:
        read_yaml(text, file="flow.yml")

    assert time.process_time() - started < 1
    assert len(caught.value.faults) == 1
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system",
        "!!python/name:os.system",
        "!!binary",
        "!!set",
        "!<tag:yaml.org,2002:python/object:os.system>",
        "!a/b",
    ],
)
def test_tags_that_make_objects_are_refused(tag: str) -> None:
    """Only GNES's ``!ClassName`` is read; any other tag is an error, never an object."""
    with pytest.raises(FlowError, match="is refused") as caught:
        read_yaml(f"a: {tag} ['ls']", file="flow.yml")

    assert caught.value.faults[0][1:3] == (1, 4)


def test_a_class_tag_is_kept_as_a_word() -> None:
    """``!FaissIndexer {...}`` is a mapping that remembers its tag."""
    node = read_yaml("!FaissIndexer\nparameters: {num_dim: 4}", file="flow.yml")

    assert node.tag == "FaissIndexer"
    assert node.plain() == {"parameters": {"num_dim": 4}}


def test_nodes_know_where_they_stand() -> None:
    """Keys and values carry line and column, counted from 1."""
    node = read_yaml("name: x\nservices:\n  - name: Encoder\n", file="flow.yml")

    service = node.value["services"].value[0]
    assert (node.keys["services"].line, node.keys["services"].column) == (2, 1)
    assert (service.value["name"].mark.line, service.value["name"].mark.column) == (3, 11)


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1", 1), ("-7", -7), ("1.5", 1.5), ("1e3", 1000.0), (".5", 0.5), ("0x10", 16),
        ("0o17", 15), ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("yes", "yes"), ("on", "on"), ("'1'", "1"), ('"true"', "true"), ("!!str 1", "1"),
        ("1:30", "1:30"), ("2019-01-01", "2019-01-01"), ("192:168", "192:168"),
        ("9" * 50, "9" * 50),
    ],
)  # fmt: skip
def test_words_mean_what_yaml_1_2_says(word: str, value: object) -> None:
    """Bare words are typed as in YAML 1.2: ``yes`` is a word, ``1:30`` no number of minutes."""
    assert read_yaml(f"a: {word}", file="flow.yml").plain() == {"a": value}


def test_anchors_and_merged_mappings_are_read() -> None:
    """Anchors save repetition, and ``<<`` adds what is not there yet."""
    node = read_yaml("base: &base {a: 1, b: 2}\nmore: {<<: *base, b: 3}", file="flow.yml")

    assert node.plain()["more"] == {"a": 1, "b": 3}


def test_an_empty_text_is_an_empty_mapping() -> None:
    """Nothing, or nothing but comments, has no keys."""
    assert read_yaml("# nothing\n", file="flow.yml").plain() == {}


def test_a_syntax_error_says_where() -> None:
    """The fault of broken YAML carries the line at which reading ended."""
    with pytest.raises(FlowError) as caught:
        read_yaml("name: x\nport: [1, 2\nservices: 3\n", file="flow.yml")

    assert caught.value.faults[0].line == 3
    assert "no valid YAML" in str(caught.value)
