"""The message format: arrays come back as they went, and nothing else gets in."""

from __future__ import annotations

import contextlib
import pickle

import msgpack
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from compose.wire import codec
from compose.wire.messages import QueryBatch, SearchParams

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False)
    | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)  # fmt: skip


@given(plain)
def test_plain_data_comes_back(message: object) -> None:
    """Whatever JSON could say, and bytes besides, survives the way."""
    assert codec.loads(codec.dumps(message)) == message


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i4", "<i8", "|u1", "|b1"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (0, 5), (2, 3, 4)])
def test_arrays_come_back_with_dtype_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    """Raw buffers, no lists: value, dtype and shape are the same."""
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)

    back = codec.loads(codec.dumps({"rows": array}))["rows"]

    assert back.dtype == array.dtype
    assert back.shape == shape
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    "array",
    [np.array(["text"]), np.array([object()]), np.array([1 + 2j]), np.zeros(2, "datetime64[s]")],
)
def test_only_numbers_travel(array: np.ndarray) -> None:
    """An array of objects or strings is refused where it is sent."""
    with pytest.raises(TypeError):
        codec.dumps(array)


def test_objects_are_refused_with_a_cure() -> None:
    """Nothing is pickled in silence."""
    with pytest.raises(TypeError, match="send plain data or arrays"):
        codec.dumps({"path": object()})


@given(st.binary(max_size=200))
@example(b"\x81\x90\x00")  # a map whose key is a list
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Garbage on the wire ends in one kind of error."""
    with contextlib.suppress(codec.WireFormatError):
        codec.loads(data)


def test_a_pickle_is_no_message() -> None:
    """A pickle's bytes are not executed; they are no msgpack."""
    with pytest.raises(codec.WireFormatError):
        codec.loads(pickle.dumps({"a": 1}))


@pytest.mark.parametrize(
    ("dtype", "shape", "size"),
    [("<f4", [2], 4), ("<f4", [-1], 4), ("|O", [1], 8), ("<f4", [1, 1, 1, 1, 1], 4)],
)
def test_an_array_that_lies_about_itself_is_refused(
    dtype: str, shape: list[int], size: int
) -> None:
    """Dtype, shape and length must agree before memory is touched."""
    ext = msgpack.ExtType(1, msgpack.packb((dtype, shape)) + bytes(size))

    with pytest.raises(codec.WireFormatError):
        codec.loads(msgpack.packb(ext))


def test_a_message_of_another_version_is_named_not_misread() -> None:
    """Mixed versions fail loudly, with the remedy."""
    wire = {**SearchParams().to_wire(), "v": 99}

    with pytest.raises(codec.WireFormatError, match="version 99"):
        SearchParams.from_wire(wire)


def test_an_unknown_field_is_refused() -> None:
    """A message with a field that this version does not know is no message of this version."""
    wire = {**SearchParams().to_wire(), "surprise": 1}

    with pytest.raises(codec.WireFormatError, match="surprise"):
        SearchParams.from_wire(wire)


def test_a_batch_survives_the_wire() -> None:
    """A batch is the same after encoding, with its arrays."""
    batch = QueryBatch(
        batch_id="b", reply_to="r", collection="c", deadline=1.0, queries=1,
        params=SearchParams(limit=3).to_wire(), targets=((0, 1, 2),),
        embeddings={"": np.ones((1, 4), np.float32)}, owners=np.zeros(1, np.int32),
        weights=np.ones(1, np.float32),
    )  # fmt: skip

    back = QueryBatch.from_wire(codec.loads(codec.dumps(batch.to_wire())))

    assert SearchParams.from_wire(back.params).limit == 3
    assert np.array_equal(back.embeddings[""], batch.embeddings[""])
    assert [tuple(target) for target in back.targets] == [(0, 1, 2)]
