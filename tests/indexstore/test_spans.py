"""Spans are narrow for text and time and widen at the first box."""

import numpy as np

from indexstore.chunk_codec import decode_chunks, encode_chunks
from indexstore.model import ChunkTable
from indexstore.spans import Spans, joined, shown


def test_a_column_widens_at_the_first_box() -> None:
    """Text takes two numbers a chunk; after the first box every span has four, old ones padded."""
    column = Spans()
    column.extend(np.array([[3, 9]]), 1)
    before = column.view()

    column.extend(np.array([[1.0, 2.0, 30.0, 40.0]]), 1)
    column.extend(np.array([[5, 7]]), 1)

    assert before.tolist() == [[3, 9]]
    assert column.view().tolist() == [[3, 9, -1, -1], [1, 2, 30, 40], [5, 7, -1, -1]]


def test_a_box_survives_the_log() -> None:
    """A chunk table with boxes comes back with boxes, one without comes back narrow."""
    for width in (2, 4):
        spans = np.arange(2 * width, dtype=np.float32).reshape(2, width)
        table = ChunkTable(np.arange(2, dtype=np.int32), np.ones(2, np.float32), spans, None, {})

        assert decode_chunks(encode_chunks(table)).spans.tolist() == spans.tolist()


def test_hits_show_what_a_span_holds() -> None:
    """Columns of different widths join; text shows two numbers and a box four."""
    rows = joined([np.array([[0, 42]]), np.array([[0, 0, 64, 48]], np.float32)]).tolist()

    assert [shown(row) for row in rows] == [[0, 42], [0, 0, 64, 48]]
