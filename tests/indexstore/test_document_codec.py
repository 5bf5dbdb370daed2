"""Contents, tags and vectors as the ledger keeps them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexstore.document_codec import (
    decode_content,
    decode_tags,
    decode_vector,
    encode_content,
    encode_tags,
    encode_vector,
)
from indexstore.errors import CorruptDataError, InvalidDocumentError

any_text = st.text(st.characters(exclude_categories=()))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text,
    lambda inner: st.lists(inner) | st.dictionaries(any_text, inner),
    max_leaves=5,
)


@given(any_text)
def test_any_text_comes_back(text: str) -> None:
    """Also U+0000, half surrogates and the empty text."""
    assert decode_content(encode_content({"text": text})) == {"text": text}


def test_a_short_text_costs_one_byte_more_than_itself() -> None:
    """Texts are stored as they are, without names or lengths."""
    assert len(encode_content({"text": "x" * 100})) == 101


@pytest.mark.parametrize("name", ["text", "image"])
def test_a_long_content_is_compressed(name: str) -> None:
    """A long repetitive content takes a fraction of its length, and comes back."""
    content = {name: "all work and no play " * 500}

    body = encode_content(content)

    assert len(body) < 1000
    assert decode_content(body) == content


def test_what_does_not_shrink_is_stored_plainly() -> None:
    """Compressing noise would only make it longer."""
    content = {"image": {"bytes": np.random.default_rng(1).bytes(5000)}}

    assert len(encode_content(content)) < 5050
    assert decode_content(encode_content(content)) == content


@pytest.mark.parametrize("damage", [b"", b"?x", b"Tx", b"Mx", b"m\xc1"])
def test_foreign_bytes_are_no_content(damage: bytes) -> None:
    """Bytes that were never a content are refused."""
    with pytest.raises(CorruptDataError):
        decode_content(damage)


@given(st.dictionaries(any_text, json_values))
def test_any_json_tags_come_back(tags: dict[str, object]) -> None:
    """In ASCII, which every database can keep."""
    encoded = encode_tags("a", tags)

    assert encoded.isascii()
    assert decode_tags(encoded) == tags


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"bytes", object()])
def test_tags_that_are_no_json_are_refused(value: object) -> None:
    """The document is named, and why."""
    with pytest.raises(InvalidDocumentError, match="document 'a7' cannot be stored: its tags"):
        encode_tags("a7", {"key": value})


def test_a_vector_comes_back() -> None:
    """As float32, or as None when there is none."""
    vector = decode_vector(encode_vector(np.array([1.5, -2.0], np.float32)))

    assert vector is not None
    assert vector.tolist() == [1.5, -2.0]
    assert decode_vector(encode_vector(None)) is None
