"""Whatever is asked over HTTP, the answer is brute force's: filters, pages, weights, likeness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from indexstore.filter_parser import parse_filter
from indexstore.filters import passes
from tests.e2e.deployment import Deployment, deployed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLOW = """\
name: oracle
services:
  - {name: Preprocessor, uses: WholeText}
  - {name: Encoder, uses: Hashing, with: {dim: 16}}
  - {name: Indexer, uses: hnsw, shards: 3}
"""
DIM, STORED, ROUNDS = 16, 400, 60
KINDS = ("news", "blog", "book", "paper")
DAYS = ("2024-01-05", "2024-01-05T22:00:00-05:00", "2024-02-01T00:00:00Z", "2025-07-09")
Tags = dict[str, Any]


class Model:
    """What is stored, and the answers that follow from it."""

    def __init__(self) -> None:
        self.vectors: dict[str, NDArray[np.float64]] = {}
        self.weights: dict[str, float] = {}
        self.tags: dict[str, Tags] = {}

    def passing(self, chosen: Mapping[str, Any] | None) -> list[str]:
        """Return the ids that pass a filter, ascending."""
        if chosen is None:
            return sorted(self.tags)
        parsed = parse_filter(chosen)
        return sorted(i for i, tags in self.tags.items() if passes(parsed, tags, i))

    def ranking(
        self, query: NDArray[np.float64], chosen: Mapping[str, Any] | None
    ) -> list[tuple[str, float]]:
        """Return all that pass, best first."""
        scored = [
            (i, float(self.vectors[i] @ query) * self.weights[i]) for i in self.passing(chosen)
        ]
        return sorted(scored, key=lambda hit: (-np.float32(hit[1]), hit[0]))


def unit(row: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a row of length 1, as single precision keeps it."""
    rounded = (row / np.linalg.norm(row)).astype(np.float32)
    return rounded.astype(np.float64)


def some_tags(rng: np.random.Generator) -> Tags:
    """Return tags of every kind, some of them missing."""
    tags: Tags = {"n": int(rng.integers(0, 100)), "kind": str(rng.choice(KINDS))}
    if rng.random() < 0.7:
        tags["price"] = float(np.round(rng.random() * 50, 2))
    if rng.random() < 0.5:
        tags["labels"] = [str(label) for label in rng.choice(["a", "b", "c d"], 2)]
    if rng.random() < 0.5:
        tags["at"] = str(rng.choice(DAYS))
    if rng.random() < 0.3:
        tags["by"] = {
            "name": str(rng.choice(["Ann Lee", "Bo"])),
            "verified": bool(rng.random() < 0.5),
        }
    return tags


def some_condition(rng: np.random.Generator, ids: list[str], depth: int = 2) -> dict[str, Any]:
    """Return any condition that there is, groups in groups included."""
    low = int(rng.integers(0, 80))
    leaves: list[dict[str, Any]] = [
        {"key": "kind", "match": {"value": str(rng.choice(KINDS))}},
        {"key": "kind", "match": {"any": [str(kind) for kind in rng.choice(KINDS, 2)]}},
        {"key": "kind", "match": {"except": [str(rng.choice(KINDS))]}},
        {"key": "labels", "match": {"text": "D c"}},
        {"key": "by.name", "match": {"text": "lee"}},
        {"key": "by.verified", "match": {"value": True}},
        {"key": "n", "range": {"gte": low, "lt": low + 30}},
        {"key": "price", "range": {"gt": 25.5}},
        {"key": "at", "range": {"gte": "2024-01-06", "lt": "2025-01-01T00:00:00Z"}},
        {"is_empty": {"key": "price"}},
        {"has_id": [str(i) for i in rng.choice(ids, 5)]},
    ]
    if depth and rng.random() < 0.5:
        return some_filter(rng, ids, depth - 1)
    return leaves[int(rng.integers(len(leaves)))]


def some_filter(rng: np.random.Generator, ids: list[str], depth: int = 2) -> dict[str, Any]:
    """Return a filter of one to three clauses."""
    made: dict[str, Any] = {}
    for clause in ("must", "should", "must_not"):
        if rng.random() < 0.5:
            count = int(rng.integers(1, 3))
            made[clause] = [some_condition(rng, ids, depth) for _ in range(count)]
    if "should" in made and rng.random() < 0.3:
        made["min_should"] = 2
    return made or {"must": [some_condition(rng, ids, 0)]}


def put(it: Deployment, model: Model, rng: np.random.Generator, ids: list[str]) -> None:
    """Store documents, some of them with the vectors of others."""
    rows = [unit(rng.standard_normal(DIM)) for _ in ids]
    known = list(model.vectors.values())
    documents = []
    for doc_id, row in zip(ids, rows, strict=True):
        vector = known[int(rng.integers(len(known)))] if known and rng.random() < 0.2 else row
        tags, weight = some_tags(rng), float(rng.choice([1.0, 1.0, 2.0, 0.5]))
        model.vectors[doc_id], model.weights[doc_id], model.tags[doc_id] = vector, weight, tags
        documents.append(
            {"id": doc_id, "text": doc_id, "vector": vector.tolist(), "tags": tags,
             "weight": weight}
        )  # fmt: skip
    it.index(*documents)


def post(it: Deployment, what: str, **body: Any) -> dict[str, Any]:
    """Ask a route of the collection, and return its answer."""
    response = it.client.post(f"/v1/collections/{it.collection}/{what}", json=body)
    assert response.status_code == 200, response.text
    return dict(response.json())


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Deployment, Model]]:
    """A deployment that was written to, changed and deleted from, and its model."""
    folder = tmp_path_factory.mktemp("oracle")
    flow = folder / "flow.yml"
    flow.write_text(FLOW)
    model, rng = Model(), np.random.default_rng(11)
    with deployed(folder, flow, GNES_BUILD_ROWS="100") as it:
        put(it, model, rng, [f"d{n:03}" for n in range(STORED)])
        put(it, model, rng, [f"d{n:03}" for n in range(0, STORED, 9)])
        for n in range(1, STORED, 40):
            tags = {"kind": "patched", "price": None}
            path = f"/v1/collections/{it.collection}/documents/d{n:03}"
            it.client.patch(path, json={"tags": tags, "weight": 1.5}).raise_for_status()
            model.weights[f"d{n:03}"] = 1.5
            model.tags[f"d{n:03}"]["kind"] = "patched"
            model.tags[f"d{n:03}"].pop("price", None)
        chosen = {"must": [{"key": "n", "range": {"lt": 5}}]}
        gone = post(it, "documents/delete", filter=chosen)["deleted"]
        assert gone == model.passing(chosen)
        for doc_id in gone:
            del model.tags[doc_id], model.weights[doc_id], model.vectors[doc_id]
        yield it, model


def assert_hits(hits: list[dict[str, Any]], expected: list[tuple[str, float]]) -> None:
    """Compare ids, order and scores."""
    assert [hit["id"] for hit in hits] == [i for i, _ in expected]
    assert [hit["score"] for hit in hits] == pytest.approx([s for _, s in expected], abs=1e-5)


def test_any_search_answers_like_brute_force(stored: tuple[Deployment, Model]) -> None:
    """Random filters, pages, weights of several vectors, thresholds: the same ids and scores."""
    it, model = stored
    rng = np.random.default_rng(5)
    for _ in range(ROUNDS):
        rows = np.stack([unit(rng.standard_normal(DIM)) for _ in range(int(rng.integers(1, 4)))])
        weights = rng.choice([1.0, 0.5, -0.5], len(rows)).astype(np.float32)
        weights[0] = 1.0
        chosen = some_filter(rng, sorted(model.tags)) if rng.random() < 0.8 else None
        limit, offset = int(rng.integers(1, 30)), int(rng.integers(0, 20))
        ranking = model.ranking(weights.astype(np.float64) @ rows, chosen)
        threshold = ranking[min(len(ranking) - 1, 12)][1] - 1e-4 if ranking else 0.0
        page = ranking[offset : offset + limit]
        if use := rng.random() < 0.3:
            page = [hit for hit in page if hit[1] >= threshold]

        answer = it.search(
            query={"vectors": rows.tolist(), "weights": weights.tolist()},
            filter=chosen, limit=limit, offset=offset,
            score_threshold=threshold if use else None, params={"exact": True},
        )  # fmt: skip

        assert_hits(answer["hits"], page)
        assert all(hit["tags"] == model.tags[hit["id"]] for hit in answer["hits"])


def test_any_filter_counts_lists_and_sorts_out_the_same(stored: tuple[Deployment, Model]) -> None:
    """Count, scroll and facet agree with looking at every document."""
    it, model = stored
    rng = np.random.default_rng(6)
    for _ in range(ROUNDS // 2):
        chosen = some_filter(rng, sorted(model.tags))
        expected = model.passing(chosen)
        kinds = [model.tags[i]["kind"] for i in expected]

        seen: list[str] = []
        cursor = None
        while cursor is not None or not seen:
            page = post(it, "documents/scroll", filter=chosen, limit=50, cursor=cursor)
            seen += [document["id"] for document in page["documents"]]
            cursor = page["cursor"]
            if cursor is None:
                break
        values = post(it, "documents/facet", key="kind", filter=chosen)["values"]

        assert seen == expected
        assert post(it, "documents/count", filter=chosen)["count"] == len(expected)
        assert {v["value"]: v["count"] for v in values} == {k: kinds.count(k) for k in set(kinds)}


def test_likeness_is_a_search_by_the_stored_vectors(stored: tuple[Deployment, Model]) -> None:
    """By id, and like some and unlike others: brute force without the documents that were named."""
    it, model = stored
    rng = np.random.default_rng(7)
    for _ in range(10):
        named = [str(i) for i in rng.choice(sorted(model.tags), 4, replace=False)]
        chosen = {"must_not": [{"key": "kind", "match": {"value": "book"}}]}
        rest = {"must": [chosen], "must_not": [{"has_id": named}]}
        like, unlike = (
            np.mean([model.vectors[i] for i in side], axis=0) for side in (named[:2], named[2:])
        )

        by_id = it.search(query={"id": named[0]}, limit=10, filter=chosen)["hits"]
        body = {"positive": named[:2], "negative": named[2:], "limit": 10, "filter": chosen}
        recommended = post(it, "recommend", **body)["hits"]

        alone = {"must": [chosen], "must_not": [{"has_id": named[:1]}]}
        assert_hits(by_id, model.ranking(model.vectors[named[0]], alone)[:10])
        assert_hits(recommended, model.ranking(like - unlike, rest)[:10])


def test_pages_are_the_whole_cut_to_pieces(stored: tuple[Deployment, Model]) -> None:
    """Page after page, whatever their size: no repeats, no gaps, in the order of the whole."""
    it, model = stored
    query = {"vector": unit(np.random.default_rng(8).standard_normal(DIM)).tolist()}
    whole = it.ids(query=query, limit=len(model.tags))
    for size in (7, 50):
        paged = [
            doc_id
            for offset in range(0, len(whole), size)
            for doc_id in it.ids(query=query, limit=size, offset=offset)
        ]

        assert paged == whole
    assert sorted(whole) == sorted(model.tags)


def test_vectors_come_back_as_they_were_sent(stored: tuple[Deployment, Model]) -> None:
    """``with_vector`` shows the vector of each chunk."""
    it, model = stored
    hits = it.search(query={"id": "d100"}, limit=3, with_vector=True)["hits"]

    for hit in hits:
        assert hit["chunks"][0]["vector"] == pytest.approx(model.vectors[hit["id"]].tolist())
    assert "vector" not in it.search(query={"id": "d100"}, limit=1)["hits"][0]["chunks"][0]


@pytest.mark.parametrize("vector", [[0.0] * DIM, [1.0] * (DIM + 1), [1e39] + [0.0] * (DIM - 1)])
def test_a_vector_that_cannot_be_compared_changes_nothing(
    stored: tuple[Deployment, Model], vector: list[float]
) -> None:
    """Without direction, of another width or infinite in single precision: refused by name."""
    it, model = stored
    bad = {"id": "d100", "text": "x", "vector": vector}
    response = it.client.post(
        f"/v1/collections/{it.collection}/documents?wait=searchable&timeout=30", json=[bad]
    )
    asked = it.ask(query={"vector": vector})

    assert response.status_code in {400, 422}, response.text
    assert asked.status_code in {400, 422}, asked.text
    assert it.client.get(f"/v1/collections/{it.collection}/documents/d100").json()["text"] == "d100"
    assert post(it, "documents/count", filter={"must": []})["count"] == len(model.tags)
