"""What the front end asks and what it gets: plain data between routes and dispatch."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from compose.wire.messages import SearchParams


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """One query as the API understood it.

    ``vector`` is one row (d,), or several rows (n, d) that are searched together: then
    ``vector_weights`` says how much each counts, a negative weight asks for what is unlike it.
    ``rows`` is one row (d,) by the name of the flow's vector, for what was encoded beforehand;
    ``weights`` says by index how much its ranking counts. ``using`` names the one index, or the
    one vector, that is asked.
    """

    text: str | None = None
    modality: str = "text"  # of the query: text, or that of its medium
    medium: bytes | str | None = None  # its content, or the name of the blob that holds it
    vector: NDArray[np.float32] | None = None
    vector_weights: tuple[float, ...] | None = None
    rows: Mapping[str, NDArray[np.float32]] | None = None
    weights: Mapping[str, float] | None = None
    using: str | None = None
    spans: tuple[tuple[str, float, float], ...] = ()  # stages that it has behind it, for the trace
    limit: int = 10
    offset: int = 0
    score_threshold: float | None = None
    filter: Mapping[str, Any] | None = None
    exclude: tuple[str, ...] = ()
    exact: bool = False
    ef: int | None = None
    group_size: int = 3
    with_content: bool = True
    with_vector: bool = False
    highlight: bool = False
    explain: bool = False
    trace: bool = False
    timeout_s: float = 10.0
    deadline: float = field(kw_only=True)  # epoch seconds: timeout_s after the query came in
    token: str | None = None
    mode: Literal["vector", "text", "hybrid"] | None = None

    @property
    def left_s(self) -> float:
        """What is left of its time: all that is done for a query shares one deadline."""
        return self.deadline - time.time()


@dataclass(frozen=True, slots=True)
class SearchAnswer:
    """What a query got: its hits as JSON, and how much of the index answered."""

    hits_json: bytes
    coverage: Mapping[str, Any]
    took_ms: float
    spans: tuple[tuple[str, float, float], ...] = ()  # stage, seconds in its queue, seconds of work
    batch: int = 1  # queries that travelled together


@dataclass(frozen=True, slots=True)
class BatchKey:
    """What queries must have in common to travel together."""

    params: SearchParams
    timeout_s: float
    min_seq: int
    is_encoded: bool  # whether the queries enter at the chord: vectors, and full-text searches
    modality: str = "text"
    vectors: tuple[str, ...] = ()  # that the queries bring; empty: one for all

    def __hash__(self) -> int:
        """Hash what differs most; a filter is a mapping and has no hash of its own."""
        params = self.params
        return hash((params.limit, params.offset, params.mode, self.timeout_s, self.min_seq))
