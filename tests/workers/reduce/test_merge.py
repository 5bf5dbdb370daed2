"""Merging: one ranking a query, the same whatever the number of shards."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from compose.wire.messages import ShardPart
from workers.reduce.highlight import highlight, query_words
from workers.reduce.merge import by_index, rank

Hit = tuple[str, float]


def part(shard: int, *queries: Sequence[Hit], index: int = 0, version: int = 1) -> ShardPart:
    """Return a shard's part with the given hits a query."""
    hits = [hit for query in queries for hit in query]
    return ShardPart(
        index,
        shard,
        counts=np.array([len(query) for query in queries], np.int32),
        doc_ids=tuple(doc_id for doc_id, _ in hits),
        versions=np.full(len(hits), version, np.int64),
        scores=np.array([score for _, score in hits], np.float32),
        chunk_counts=np.zeros(len(hits), np.int32),
    )


def ids(ranking: Sequence[object]) -> list[str]:
    """Return the ids of a ranking."""
    return [candidate.doc_id for candidate in ranking]  # type: ignore[attr-defined]  # candidates


def test_hits_of_all_shards_stand_in_one_order() -> None:
    """Score descending, whoever found it; each query has its own ranking."""
    parts = [part(0, [("a", 0.9), ("b", 0.1)], []), part(1, [("c", 0.5)], [("d", 0.2)])]

    first, second = rank(parts, 2)

    assert ids(first) == ["a", "c", "b"]
    assert ids(second) == ["d"]


def test_ties_are_broken_by_id() -> None:
    """Equal scores stand in the order of their ids, so that pages never shuffle."""
    parts = [part(0, [("b", 0.5), ("d", 0.5)]), part(1, [("a", 0.5), ("c", 0.5)])]

    assert ids(rank(parts, 1)[0]) == ["a", "b", "c", "d"]


def test_a_document_found_twice_counts_once_in_its_newest_version() -> None:
    """While slots move between shards two may know a document; the newer one is right."""
    parts = [part(0, [("a", 0.9)], version=1), part(1, [("a", 0.3)], version=2)]

    (only,) = rank(parts, 1)[0]

    assert only.version == 2
    assert only.score == pytest.approx(0.3)


def test_parts_that_failed_are_left_out() -> None:
    """A shard's error costs its part, never the ranking."""
    groups = by_index([part(0, [("a", 0.9)]), ShardPart(0, 1, error="gone")])

    assert [p.shard for p in groups[0]] == [0]


def test_a_highlight_marks_words_and_escapes_everything() -> None:
    """A document cannot smuggle markup into a page."""
    words = query_words("Join two <b>paths</b>")

    marked = highlight("join <script> the PATHS & more", words)

    assert marked == "<em>join</em> &lt;script&gt; the <em>PATHS</em> &amp; more"
