"""Our YAML is read back alike by YAML 1.1 (docker-compose) and YAML 1.2 (kubectl, ruamel)."""

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from compose.render.yaml_text import Alias, Anchored, dump, dump_all

WORDS = st.text() | st.sampled_from(
    ["yes", "No", "on", "1:30", "012", "0x1", "1e3", ".5", "~", "", " a", "a\nb\n", "a\n", "- x",
     "a: b", "# c", "!tag", "&a", "*a", "%h", "2019-01-01", "null", "<<", "=", "a\n\n", ".nan"]
)  # fmt: skip
VALUES = st.recursive(
    WORDS
    | st.integers()
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(WORDS.filter(lambda word: word != "<<"), VALUES, max_size=5))
def test_whatever_is_written_is_read_back(data: dict[str, object]) -> None:
    """Any plain data survives, whichever version of YAML reads it."""
    text = dump(data)

    assert yaml.safe_load(text) == (data or None)
    assert YAML(typ="safe", pure=True).load(text) == (data or None)


def test_anchors_are_merged_where_they_are_used() -> None:
    """What many services share stands once."""
    text = dump({"x-base": Anchored("base", {"a": 1}), "b": {"<<": Alias("base"), "c": 2}})

    assert yaml.safe_load(text)["b"] == {"a": 1, "c": 2}
    assert "x-base: &base\n" in text


def test_text_of_several_lines_stays_readable() -> None:
    """A file inside a file is a literal block, not one long string."""
    assert dump({"flow": "name: x\nport: 1\n"}) == "flow: |\n  name: x\n  port: 1\n"


def test_documents_are_parted_by_dashes() -> None:
    """A stream of documents is what kubectl applies."""
    assert list(yaml.safe_load_all(dump_all([{"a": 1}, {"b": 2}]))) == [{"a": 1}, {"b": 2}]
