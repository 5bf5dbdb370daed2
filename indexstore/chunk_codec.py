"""A document's chunks as one blob: msgpack around the arrays' own bytes, no copy on reading."""

from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from indexstore.errors import CorruptDataError
from indexstore.model import ChunkTable, Float32
from indexstore.spans import NARROW, WIDE

#: The first field of every blob; another layout gets another number.
_LAYOUT = 1


def encode_chunks(chunks: ChunkTable) -> bytes:
    """Return a chunk table as bytes."""
    spans = np.ascontiguousarray(chunks.spans)
    embeddings = {
        name: [int(rows.shape[1]), np.ascontiguousarray(rows, "<f4").tobytes()]
        for name, rows in chunks.embeddings.items()
    }
    fields = [
        _LAYOUT,
        np.ascontiguousarray(chunks.positions, "<i4").tobytes(),
        np.ascontiguousarray(chunks.weights, "<f4").tobytes(),
        spans.dtype.kind,
        spans.astype("<i4" if spans.dtype.kind == "i" else "<f4", copy=False).tobytes(),
        chunks.texts,
        embeddings,
        *([dict(chunks.tags)] if chunks.tags else []),
    ]
    packed: bytes = msgpack.packb(fields, unicode_errors="surrogatepass")
    return packed


def decode_chunks(blob: bytes) -> ChunkTable:
    """Return the chunk table of a blob; its arrays read the blob's memory and cannot be written.

    Raises:   CorruptDataError: the bytes are not what ``encode_chunks`` made.
    """
    try:
        return _decoded(blob)
    except CorruptDataError:
        raise
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise CorruptDataError("a chunk table", str(error)) from error


def _decoded(blob: bytes) -> ChunkTable:
    fields = msgpack.unpackb(blob, unicode_errors="surrogatepass")
    if fields[0] != _LAYOUT:
        raise CorruptDataError("a chunk table", "it begins with no known layout number")
    _, positions, weights, kind, spans, texts, embeddings, *rest = fields
    n = len(positions) // 4
    return ChunkTable(
        positions=np.frombuffer(positions, "<i4"),
        weights=_column(weights, "<f4", n),
        spans=_spans(spans, "<i4" if kind == "i" else "<f4", n),
        texts=None if texts is None else tuple(texts),
        embeddings={name: _matrix(rows, n, dim) for name, (dim, rows) in embeddings.items()},
        tags=rest[0] if rest else {},
    )


def _spans(raw: bytes, dtype: str, n: int) -> NDArray[Any]:
    width = WIDE if n and len(raw) == 4 * WIDE * n else NARROW
    return _column(raw, dtype, width * n).reshape(n, width)


def _matrix(rows: bytes, n: int, dim: int) -> Float32:
    return _column(rows, "<f4", n * dim).reshape(n, dim)


def _column(raw: bytes, dtype: str, length: int) -> NDArray[Any]:
    column = np.frombuffer(raw, dtype)
    if len(column) != length:
        raise CorruptDataError("a chunk table", f"{len(column)} values where {length} belong")
    return column
