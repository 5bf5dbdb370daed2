"""Fusion: several rankings of one query become one, page after page the same."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from compose.wire.fusing import WINDOW, windows
from compose.wire.messages import ShardPart
from workers.reduce.explain import explain_fusion, explain_words
from workers.reduce.fusion import Fusion
from workers.reduce.merge import Candidate, rank

Hit = tuple[str, float]
PAGE = 10


def ranking(hits: Sequence[Hit], *, index: int = 0, version: int = 1) -> list[Candidate]:
    """Return the ranking of one index that holds these hits."""
    part = ShardPart(
        index,
        0,
        counts=np.array([len(hits)], np.int32),
        doc_ids=tuple(doc_id for doc_id, _ in hits),
        versions=np.full(len(hits), version, np.int64),
        scores=np.array([score for _, score in hits], np.float32),
    )
    return rank([part], 1)[0]


def ids(found: Sequence[Candidate]) -> list[str]:
    """Return the ids of a ranking."""
    return [candidate.doc_id for candidate in found]


@pytest.fixture
def two() -> Mapping[str, list[Candidate]]:
    """Return two short rankings that share one document."""
    return {
        "near": ranking([("a", 0.9), ("b", 0.8)]),
        "words": ranking([("c", 3.0), ("b", 2.0)], index=1),
    }


def test_reciprocal_ranks_prefer_what_both_rankings_know(
    two: Mapping[str, list[Candidate]],
) -> None:
    """Second in both beats first in one."""
    fused = Fusion().fuse(two, PAGE)

    assert ids(fused) == ["b", "a", "c"]
    assert fused[0].score == pytest.approx(2 / 62)
    assert fused[1].score == pytest.approx(1 / 61 + 1 / (61 + WINDOW))
    assert [(origin.index, origin.rank) for origin in fused[0].origins] == [
        ("near", 2),
        ("words", 2),
    ]


def test_weights_favour_an_index(two: Mapping[str, list[Candidate]]) -> None:
    """An index of weight 0 decides nothing; a heavy one decides alone."""
    near, words = (Fusion(weights={"near": w, "words": 1 - w}).fuse(two, PAGE) for w in (1, 0))

    assert ids(near)[:2] == ["a", "b"]
    assert ids(words)[:2] == ["c", "b"]


def test_weighted_scores_are_scaled_to_one_another(two: Mapping[str, list[Candidate]]) -> None:
    """The best of each index counts 1 times its weight, whatever its scores' unit."""
    fused = Fusion("weighted", {"near": 0.75, "words": 0.25}).fuse(two, PAGE)

    scores = {found.doc_id: found.score for found in fused}
    expected = {"a": 0.75, "b": 0.75 * 0.8 / 0.9 + 0.25 * 2 / 3, "c": 0.25}
    assert scores == pytest.approx(expected)
    assert ids(fused) == ["b", "a", "c"]


def test_equal_scores_are_all_worth_the_whole_weight() -> None:
    """Where an index cannot tell documents apart, scaling does not divide by nothing."""
    fused = Fusion("weighted").fuse({"near": ranking([("a", 0.0), ("b", 0.0)])}, PAGE)

    assert [found.score for found in fused] == [1.0, 1.0]


@pytest.mark.parametrize("method", ["rrf", "weighted"])
def test_pages_neither_repeat_nor_skip(method: str) -> None:
    """However deep a page makes the shards read, all pages together are one falling ranking."""
    order = random.Random(7)  # a shuffle, no secret
    names = [f"d{number:04}" for number in range(1500)]
    full = {}
    for name in ("near", "words"):
        order.shuffle(names)
        full[name] = [(doc_id, 1.0 / (2 + place)) for place, doc_id in enumerate(names[:900])]
    pages: list[Candidate] = []

    for offset in range(0, 1000, PAGE):
        wanted = offset + PAGE
        depth = max(windows(wanted)) + wanted % 7  # with a varying number of spare ones
        cut = {name: ranking(hits[:depth]) for name, hits in full.items()}
        pages += Fusion(method).fuse(cut, wanted)[offset : offset + PAGE]

    assert len(set(ids(pages))) == len(pages) == 1000
    assert [p.score for p in pages] == sorted((p.score for p in pages), reverse=True)


def test_the_newest_version_is_shown() -> None:
    """While one index lags behind, the other one's newer version is the document."""
    old, new = ranking([("a", 0.9)]), ranking([("a", 2.0)], index=1, version=2)

    (only,) = Fusion().fuse({"near": old, "words": new}, PAGE)

    assert only.version == 2


@pytest.mark.parametrize("method", ["rrf", "weighted"])
def test_an_explanation_adds_up(method: str, two: Mapping[str, list[Candidate]]) -> None:
    """The shares of the indexes are the score, also where one did not find the document."""
    fusion = Fusion(method)

    for found in fusion.fuse(two, PAGE):
        trees = [explain_words(o.score) for o in found.origins if o.found is not None]
        tree = explain_fusion(found, fusion, trees)

        assert tree["value"] == found.score
        assert sum(leaf["value"] for leaf in tree["operands"]) == pytest.approx(found.score)
        assert [len(leaf["operands"]) for leaf in tree["operands"]] == [
            int(origin.found is not None) for origin in found.origins
        ]
