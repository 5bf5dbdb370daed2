"""Hits to score."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from workers.component import ChunkHits

MakeHits = Callable[..., ChunkHits]


def make_hits(values: list[float], **columns: Any) -> ChunkHits:
    """Return hits of these values; each column not given is 0, each weight 1."""
    n = len(values)
    whole = {"queries": 0, "query_chunks": 0, "documents": 0, "positions": 0, "document_chunks": 1}
    weights = {"query_weights": 1.0, "chunk_weights": 1.0, "document_weights": 1.0}
    filled: dict[str, Any] = {name: np.full(n, value) for name, value in (whole | weights).items()}
    for name, value in columns.items():
        is_column = isinstance(value, list)
        filled[name] = np.array(value) if is_column else value
    return ChunkHits(np.array(values, np.float64), **filled)


@pytest.fixture
def hits_of() -> MakeHits:
    """The maker of hits."""
    return make_hits


@pytest.fixture
def hits() -> ChunkHits:
    """Six hits of two queries on three documents, of all sorts."""
    return make_hits(
        [0.9, 0.5, 0.1, 0.85, 0.0, -0.3],
        queries=[0, 0, 0, 1, 1, 1],
        query_chunks=[0, 0, 1, 0, 0, 0],
        documents=[0, 1, 0, 2, 2, 1],
        positions=[0, 2, 1, 0, 3, 1],
        query_weights=[0.5, 0.5, 0.5, 1.0, 1.0, 1.0],
        chunk_weights=[0.3, 0.2, 0.7, 1.0, 0.4, 0.1],
        document_weights=[1.0, 2.0, 1.0, 0.5, 0.5, 2.0],
        document_chunks=[2, 4, 2, 5, 5, 4],
        total_documents=3,
        total_chunks=11,
    )
