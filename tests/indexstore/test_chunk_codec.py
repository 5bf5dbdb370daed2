"""Chunk tables as blobs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from indexstore.chunk_codec import decode_chunks, encode_chunks
from indexstore.errors import CorruptDataError
from indexstore.model import ChunkTable
from tests.indexstore.samples import chunks_of


@st.composite
def chunk_tables(draw: st.DrawFn) -> ChunkTable:
    """Any chunk table: of no rows or many, with several vectors, with texts or without."""
    n = draw(st.integers(0, 5))
    kind = draw(st.sampled_from([np.int32, np.float32]))
    texts = draw(st.none() | st.lists(st.text(), min_size=n, max_size=n).map(tuple))
    names = draw(st.sets(st.text(max_size=4), max_size=2))
    dims = {name: draw(st.integers(1, 4)) for name in names}
    return ChunkTable(
        positions=draw(arrays(np.int32, n)),
        weights=draw(arrays(np.float32, n)),
        spans=draw(arrays(kind, (n, 2))),
        texts=texts,
        embeddings={name: draw(arrays(np.float32, (n, dim))) for name, dim in dims.items()},
    )


@given(chunk_tables())
def test_a_chunk_table_comes_back_as_it_was(chunks: ChunkTable) -> None:
    """Every column has the same values, type and shape after the way through a blob."""
    again = decode_chunks(encode_chunks(chunks))

    for old, new in [
        (chunks.positions, again.positions),
        (chunks.weights, again.weights),
        (chunks.spans, again.spans),
        *((chunks.embeddings[name], again.embeddings[name]) for name in chunks.embeddings),
    ]:
        assert (new.dtype, new.shape) == (old.dtype, old.shape)
        assert np.array_equal(old, new, equal_nan=True)
    assert again.texts == chunks.texts
    assert again.embeddings.keys() == chunks.embeddings.keys()


def test_decoded_arrays_share_the_blobs_memory() -> None:
    """Reading copies nothing, so nobody may write into what was read."""
    chunks = decode_chunks(encode_chunks(chunks_of()))

    assert not chunks.embeddings[""].flags.writeable
    assert not chunks.embeddings[""].flags.owndata


def test_columns_that_are_no_contiguous_floats_are_made_so() -> None:
    """A transposed view and a float64 weight are stored as what the model says."""
    view = np.arange(8, dtype=np.float64).reshape(4, 2).T
    chunks = chunks_of()
    odd = ChunkTable(chunks.positions, chunks.weights, chunks.spans, None, {"": view})  # type: ignore[dict-item]  # the point

    assert np.array_equal(decode_chunks(encode_chunks(odd)).embeddings[""], view)


@pytest.mark.parametrize(
    "damage", [b"", b"\x00", b"\x90", b"\xc0", b"\x91\x02", b"\x93\x01\x02\x03"]
)
def test_foreign_bytes_are_refused(damage: bytes) -> None:
    """What is no chunk table is said to be none."""
    with pytest.raises(CorruptDataError):
        decode_chunks(damage)


def test_a_torn_blob_is_refused() -> None:
    """A blob cut anywhere is never read as a smaller table."""
    blob = encode_chunks(chunks_of())

    for end in range(len(blob)):
        with pytest.raises(CorruptDataError):
            decode_chunks(blob[:end])


def test_columns_of_unequal_length_are_refused() -> None:
    """Two positions with one weight are no table."""
    chunks, short = chunks_of(n=2), chunks_of(n=1)
    torn = ChunkTable(chunks.positions, short.weights, chunks.spans, None, chunks.embeddings)

    with pytest.raises(CorruptDataError, match="1 values where 2 belong"):
        decode_chunks(encode_chunks(torn))
