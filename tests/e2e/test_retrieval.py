"""Every way to ask, over HTTP, against answers worked out one document at a time.

The collection lies in segments, deltas, three shards of words and two of vectors; the oracle is
a list. What hypothesis makes up here are requests, so that their combinations are tested.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpx2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from indexstore.engines.bm25 import Bm25Engine
from tests.e2e.deployment import Deployment, deployed, wait_until
from tests.indexstore.test_words import oracle as bm25
from workers.component import Source
from workers.encode.hashing import HashingEncoder
from workers.preprocess.sentences import SentenceSplitter

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DIM = 48
FLOW = f"""\
name: retrieval
services:
  - {{name: Preprocessor, uses: SentenceSplitter}}
  - {{name: Encoder, uses: Hashing, with: {{dim: {DIM}}}}}
  - - {{name: Indexer, id: Words, uses: bm25, shards: 3}}
    - {{name: Indexer, id: Near, uses: hnsw, shards: 2}}
score: {{fusion: rrf, weights: {{words: 1.0, near: 0.7}}}}
"""
WORDS = (
    "amber birch cedar dusk ember fjord grove heath inlet juniper kelp lagoon meadow north orchard "
    "pine quarry reed summit thicket upland valley willow yew 東京 京都駅"
)
VOCABULARY = WORDS.split()
COUNT, BUILT = 260, 160
RANK_CONSTANT, WINDOW = 60, 100
Ranking = list[tuple[str, float]]


@dataclass(frozen=True, slots=True)
class Rows:
    """Vectors of length 1, and how much each counts."""

    vectors: NDArray[np.float64]
    weights: NDArray[np.float64]

    @classmethod
    def joined(cls, sides: Sequence[tuple[Sequence[Kept], float]]) -> Rows:
        """Return the rows of some documents; each side of them has a weight in all."""
        vectors, weights = [], []
        for side, share in sides:
            own = np.concatenate([doc.rows.weights for doc in side] or [np.empty(0)])
            weights.append(own * share / max(own.sum(), 1e-9))
            vectors += [doc.rows.vectors for doc in side]
        return cls(np.concatenate(vectors), np.concatenate(weights))


@dataclass(frozen=True, slots=True)
class Kept:
    """What the oracle knows of a document."""

    doc_id: str
    text: str
    tags: Mapping[str, Any]
    weight: float
    rows: Rows

    def chunk_scores(self, query: Rows) -> NDArray[np.float64]:
        """Score every chunk against every row of the query, by the weights of both."""
        scores: NDArray[np.float64] = self.rows.weights * (
            self.rows.vectors @ query.vectors.T @ query.weights
        )
        return scores

    def score(self, query: Rows) -> float:
        """Return the score of the document: all of its chunks, and its own weight."""
        return float(self.chunk_scores(query).sum() * self.weight)


def rows_of(text: str) -> Rows:
    """Return a row for each sentence, of the weight of its share of the text."""
    chunks = SentenceSplitter().apply(Source("text", text))
    vectors = HashingEncoder(dim=DIM).encode(chunks).astype(np.float64)
    return Rows(vectors, np.array([chunk.weight for chunk in chunks]))


@cache
def library() -> list[Kept]:
    """Return the documents: some long, some heavy, some equal, with tags of all kinds."""
    rng = np.random.default_rng(11)
    kept: list[Kept] = []
    for n in range(COUNT):
        words = [rng.choice(VOCABULARY, rng.integers(4, 9)) for _ in range(rng.integers(1, 5))]
        text = " ".join(f"{' '.join(sentence).capitalize()}." for sentence in words)
        if n % 40 == 39:
            text = kept[-1].text  # a twin
        tags: dict[str, Any] = {"n": n, "by": [d for d in (2, 3, 5) if n % d == 0]}
        tags |= {"colour": ["red", "blue", "dark green"][n % 3]} if n % 7 else {}
        tags |= {"day": f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}", "at": {"x": n / 4}}
        tags |= {"open": n % 2 == 0} if n % 5 else {"open": None}
        weight = [1.0, 1.0, 1.0, 0.5, 2.0][n % 5]
        kept.append(Kept(f"d{n:03}", text, tags, weight, rows_of(text)))
    return kept


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the flow, with documents in segments and in deltas."""
    folder = tmp_path_factory.mktemp("retrieval")
    flow = folder / "flow.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow, GNES_BUILD_ROWS="20") as it:
        bodies = [
            {"id": doc.doc_id, "text": doc.text, "tags": doc.tags, "weight": doc.weight}
            for doc in library()
        ]
        it.index(*bodies[:BUILT])
        wait_until(lambda: all(row["segments"] for row in shards(it)), story=it.story)
        it.index(*bodies[BUILT:])
        it.index({"id": "gone", "text": "Amber birch."})
        it.client.delete(f"/v1/collections/{it.collection}/documents/gone").raise_for_status()
        wait_until(lambda: knows_all_words(it), story=it.story)
        yield it


def shards(it: Deployment) -> list[dict[str, Any]]:
    """Return what the workers say of their shards."""
    workers = it.client.get("/v1/workers").json()["workers"]
    return [shard for worker in workers for shard in worker["shards"]]


def knows_all_words(it: Deployment) -> bool:
    """Tell whether the shards have told each other what they count."""
    found = it.search("amber", mode="text", limit=1)["hits"][0]["score"]
    return bool(found == pytest.approx(worded("amber")[0][1], rel=1e-5))


def post(it: Deployment, what: str, **body: Any) -> httpx2.Response:
    """Ask a route of the collection."""
    return it.client.post(f"/v1/collections/{it.collection}/{what}", json=body)


def got(it: Deployment, what: str, **body: Any) -> dict[str, Any]:
    """Ask a route of the collection, and return its answer."""
    response = post(it, what, **body)
    assert response.status_code == httpx2.codes.OK, response.text
    return dict(response.json())


def ordered(scores: Mapping[str, float]) -> Ranking:
    """Return documents best first; equal scores, as far as 32 bits tell, by id."""
    return sorted(scores.items(), key=lambda hit: (-np.float32(hit[1]), hit[0]))


def near(query: Rows) -> Ranking:
    """Rank all documents by their vectors."""
    return ordered({doc.doc_id: doc.score(query) for doc in library()})


def worded(text: str) -> Ranking:
    """Rank the documents that have any of the words by BM25 over the whole collection."""
    weights = {doc.doc_id: doc.weight for doc in library()}
    texts = {doc.doc_id: "\n".join(sentences(doc.text)) for doc in library()}
    found = bm25(texts, text, Bm25Engine({}), limit=COUNT)
    return ordered({doc_id: score * weights[doc_id] for doc_id, score in found})


def sentences(text: str) -> list[str]:
    """Return the texts of the chunks."""
    return [chunk.text or "" for chunk in SentenceSplitter().apply(Source("text", text))]


def same(hits: Sequence[Mapping[str, Any]], expected: Ranking, whole: Ranking) -> None:
    """Check ids, order and scores; where the oracle's scores are all but equal, any order will do.

    Args:
        hits: as they came.
        expected: what should have come.
        whole: the oracle's scores of all documents.
    """
    scores = dict(whole)
    assert len(hits) == len(expected)
    assert len({hit["id"] for hit in hits}) == len(hits)
    for hit, (_, score) in zip(hits, expected, strict=True):
        assert hit["score"] == pytest.approx(score, rel=1e-4, abs=1e-5)
        assert scores[hit["id"]] == pytest.approx(score, rel=1e-4, abs=1e-5)
    keys = [(-hit["score"], hit["id"]) for hit in hits]
    assert keys == sorted(keys)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A filter as JSON, and what it means."""

    plain: Mapping[str, Any]
    holds: Callable[[Kept], bool]


def leaf(plain: Mapping[str, Any], holds: Callable[[Mapping[str, Any], str], bool]) -> Chosen:
    """Return a condition on tags and id."""
    return Chosen(plain, lambda doc: holds(doc.tags, doc.doc_id))


LEAVES = [
    leaf({"key": "colour", "match": {"value": "red"}}, lambda t, _: t.get("colour") == "red"),
    leaf(
        {"key": "colour", "match": {"any": ["red", "blue"]}},
        lambda t, _: t.get("colour") in {"red", "blue"},
    ),
    leaf(
        {"key": "colour", "match": {"except": ["red"]}},
        lambda t, _: t.get("colour", "red") != "red",
    ),
    leaf(
        {"key": "colour", "match": {"text": "GREEN"}}, lambda t, _: "green" in t.get("colour", "")
    ),
    leaf({"key": "open", "match": {"value": True}}, lambda t, _: t["open"] is True),
    leaf({"is_empty": {"key": "open"}}, lambda t, _: t["open"] is None),
    leaf({"is_empty": {"key": "by"}}, lambda t, _: not t["by"]),
    leaf({"key": "by", "match": {"value": 3}}, lambda t, _: 3 in t["by"]),
    leaf({"key": "by", "match": {"except": [2]}}, lambda t, _: bool(set(t["by"]) - {2})),
    leaf({"key": "n", "range": {"gte": 50, "lt": 190.5}}, lambda t, _: 50 <= t["n"] < 190.5),
    leaf({"key": "at.x", "range": {"gt": 10}}, lambda t, _: t["at"]["x"] > 10),
    leaf(
        {"key": "day", "range": {"gt": "2024-03-15", "lte": "2024-11-01"}},
        lambda t, _: "2024-03-15" < t["day"] <= "2024-11-01",
    ),
    leaf({"has_id": ["d001", "d200", "nobody"]}, lambda _, i: i in {"d001", "d200"}),
    leaf({"key": "n", "match": {"value": 7}}, lambda t, _: t["n"] == 7),
    leaf({"key": "nothing", "match": {"value": 1}}, lambda _t, _: False),
]


def group(parts: tuple[list[Chosen], list[Chosen], list[Chosen], int | None]) -> Chosen:
    """Return a group of conditions."""
    must, should, must_not, least = parts
    listed = {"must": must, "should": should, "must_not": must_not}
    plain: dict[str, Any] = {
        name: [each.plain for each in part] for name, part in listed.items() if part
    }
    if least is not None:
        plain["min_should"] = least

    def holds(doc: Kept) -> bool:
        enough = 1 if least is None else least
        return (
            all(each.holds(doc) for each in must)
            and not any(each.holds(doc) for each in must_not)
            and (not should or sum(each.holds(doc) for each in should) >= enough)
        )

    return Chosen(plain, holds)


FILTERS = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.tuples(
        st.lists(inner, max_size=2),
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2),
        st.one_of(st.none(), st.integers(0, 3)),
    ).map(group),
    max_leaves=6,
)
QUERIES = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=5).map(" ".join)
IDS = st.integers(0, COUNT - 1).map(lambda n: f"d{n:03}")
PAGES = st.tuples(st.integers(1, 40), st.integers(0, 60))
often = settings(max_examples=60, deadline=None)


@often
@given(query=QUERIES, chosen=st.one_of(st.none(), FILTERS), page=PAGES, mode=st.sampled_from("vt"))
def test_one_index_answers_like_the_oracle(
    it: Deployment, query: str, chosen: Chosen | None, page: tuple[int, int], mode: str
) -> None:
    """Whatever the query, its filter and its page, by vectors and by words."""
    whole = near(rows_of(query)) if mode == "v" else worded(query)
    passing = {doc.doc_id for doc in library() if chosen is None or chosen.holds(doc)}
    limit, offset = page

    hits = got(
        it, "search", query={"text": query}, limit=limit, offset=offset,
        mode="vector" if mode == "v" else "text", filter=None if chosen is None else chosen.plain,
    )["hits"]  # fmt: skip

    expected = [hit for hit in whole if hit[0] in passing]
    same(hits, expected[offset : offset + limit], whole)


@often
@given(chosen=FILTERS, size=st.integers(1, 90))
def test_a_filter_counts_lists_and_facets_alike(it: Deployment, chosen: Chosen, size: int) -> None:
    """Count, scroll by cursor and facet agree with looking at every document."""
    passing = [doc for doc in library() if chosen.holds(doc)]
    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        body = {"filter": chosen.plain, "limit": size, "cursor": cursor}
        page = got(it, "documents/scroll", **body)
        seen += [doc["id"] for doc in page["documents"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    values = got(it, "documents/facet", key="by", filter=chosen.plain)["values"]

    counts = {d: sum(d in doc.tags["by"] for doc in passing) for d in (2, 3, 5)}
    assert got(it, "documents/count", filter=chosen.plain)["count"] == len(passing)
    assert seen == [doc.doc_id for doc in passing]
    assert {value["value"]: value["count"] for value in values} == {
        d: count for d, count in counts.items() if count
    }


@often
@given(query=QUERIES, chosen=st.one_of(st.none(), FILTERS), limit=st.integers(1, 50))
def test_both_indexes_fuse_over_global_ranks(
    it: Deployment, query: str, chosen: Chosen | None, limit: int
) -> None:
    """A fused score adds up the places in the two whole rankings of what passes the filter."""
    plain = None if chosen is None else chosen.plain
    asked = {"query": {"text": query}, "filter": plain}
    ranks: dict[str, dict[str, int]] = {
        mode: {hit["id"]: rank for rank, hit in enumerate(hits, 1)}
        for mode in ("text", "vector")
        for hits in [got(it, "search", mode=mode, limit=WINDOW, **asked)["hits"]]
    }

    hits = got(it, "search", mode="hybrid", limit=limit, **asked)["hits"]

    weights = {"text": 1.0, "vector": 0.7}
    fused = ordered(
        {
            doc_id: sum(
                weights[mode] / (RANK_CONSTANT + places.get(doc_id, WINDOW + 1))
                for mode, places in ranks.items()
            )
            for doc_id in ranks["text"] | ranks["vector"]
        }
    )
    same(hits, fused[:limit], fused)


@often
@given(ids=st.lists(IDS, min_size=1, max_size=5), unlike=st.lists(IDS, max_size=3))
def test_recommendations_are_near_and_far_as_asked(
    it: Deployment, ids: list[str], unlike: list[str]
) -> None:
    """The chunks of the liked pull, those of the others push, each side with weight 1 in all."""
    ids, unlike = list(dict.fromkeys(ids)), list(dict.fromkeys(unlike))
    byid = {doc.doc_id: doc for doc in library()}
    sides = [([byid[i] for i in ids], 1.0), ([byid[i] for i in unlike], -1.0)]
    whole = near(Rows.joined(sides))

    hits = got(it, "recommend", positive=ids, negative=unlike, limit=15)["hits"]

    same(hits, [hit for hit in whole if hit[0] not in {*ids, *unlike}][:15], whole)


@often
@given(doc_id=IDS, chosen=st.one_of(st.none(), FILTERS))
def test_a_stored_document_is_a_query(it: Deployment, doc_id: str, chosen: Chosen | None) -> None:
    """By its id it finds its like among what passes, without itself."""
    (doc,) = (doc for doc in library() if doc.doc_id == doc_id)
    whole = near(Rows.joined([([doc], 1.0)]))
    passing = {one.doc_id for one in library() if chosen is None or chosen.holds(one)} - {doc_id}

    plain = None if chosen is None else chosen.plain
    hits = got(it, "search", query={"id": doc_id}, limit=10, filter=plain)["hits"]

    same(hits, [hit for hit in whole if hit[0] in passing][:10], whole)


@often
@given(
    seed=st.integers(0, 999),
    weights=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=4),
    cut=st.floats(0, 1),
    exact=st.booleans(),
)
def test_several_vectors_weigh_as_told_and_a_threshold_cuts(
    it: Deployment, seed: int, weights: list[float], cut: float, *, exact: bool
) -> None:
    """Scores add up over the vectors by their weights; nothing below the threshold comes."""
    rows = np.random.default_rng(seed).standard_normal((len(weights), DIM)).astype(np.float32)
    unit = rows.astype(np.float64) / np.linalg.norm(rows, axis=1, keepdims=True)
    whole = near(Rows(unit, np.array(weights)))
    best, worst = whole[0][1], whole[-1][1]
    threshold = best - cut * (best - worst)
    query = {"vectors": rows.tolist(), "weights": weights}

    hits = got(
        it, "search", query=query, limit=20, score_threshold=threshold, params={"exact": exact}
    )["hits"]

    unsure = [score for _, score in whole if math.isclose(score, threshold, abs_tol=1e-4)]
    kept = [hit for hit in whole[:20] if hit[1] >= threshold]
    assert abs(len(hits) - len(kept)) <= len(unsure)
    same(hits, whole[: len(hits)], whole)


@often
@given(query=QUERIES, size=st.integers(1, 6))
def test_a_group_shows_the_best_chunks_of_its_document(
    it: Deployment, query: str, size: int
) -> None:
    """``group_size`` chunks, best first, with the text where they stand."""
    byid = {doc.doc_id: doc for doc in library()}
    asked = rows_of(query)

    hits = got(
        it, "search", query={"text": query}, mode="vector", limit=5, group_size=size
    )["hits"]  # fmt: skip

    for hit in hits:
        doc = byid[hit["id"]]
        scores = doc.chunk_scores(asked)
        parts = sentences(doc.text)
        shown = [chunk["position"] for chunk in hit["chunks"]]
        best = sorted(range(len(scores)), key=lambda i: (-np.float32(scores[i]), i))[:size]
        assert [scores[i] for i in shown] == pytest.approx([scores[i] for i in best], abs=1e-5)
        assert len(set(shown)) == len(shown) == min(size, len(parts))
        assert [chunk["text"] for chunk in hit["chunks"]] == [parts[i] for i in shown]


@pytest.mark.parametrize("mode", ["vector", "text", "hybrid"])
@pytest.mark.parametrize("size", [1, 7, 50])
def test_pages_are_the_one_long_answer_cut(it: Deployment, mode: str, size: int) -> None:
    """By offset nothing comes twice and nothing is left out, to the last document."""
    text = "amber birch cedar dusk"
    asked = {"query": {"text": text}, "mode": mode}
    whole = [hit["id"] for hit in got(it, "search", limit=COUNT, **asked)["hits"]]
    reach = len(whole) if size > 1 else 60
    pages: list[str] = []
    for offset in range(0, reach, size):
        hits = got(it, "search", limit=size, offset=offset, **asked)["hits"]
        pages += [hit["id"] for hit in hits]

    assert len(set(whole)) == len(whole)
    assert len(whole) == (len(worded(text)) if mode == "text" else COUNT)
    assert pages == whole[:reach]


BAD_VECTORS = [
    ([1.0] * (DIM - 1), "47"),
    ([1e39] + [0.0] * (DIM - 1), "32 bits"),
    (["x"] + [0.0] * (DIM - 1), "numbers only"),
    ([], "one or more"),
]


@pytest.mark.parametrize(("vector", "why"), BAD_VECTORS)
def test_bad_vectors_are_refused_with_nothing_changed(
    it: Deployment, vector: list[Any], why: str
) -> None:
    """Neither a query nor a document of them is taken, and the others of its request are."""
    before = got(it, "documents/count")["count"]

    asked = post(it, "search", query={"vector": vector})
    written = it.client.post(
        f"/v1/collections/{it.collection}/documents",
        json=[{"id": "bad", "text": "Amber.", "vector": vector}],
    )

    assert asked.status_code in {400, 422}
    assert why in asked.text
    assert written.status_code in {400, 422}
    assert got(it, "documents/count")["count"] == before
    assert got(it, "documents/count", filter={"has_id": ["bad"]})["count"] == 0


@pytest.mark.parametrize(
    "body", ['{"query": {"vector": [NaN]}}', '{"query": {"vector": [Infinity]}}']
)
def test_what_is_no_number_is_no_json(it: Deployment, body: str) -> None:
    """NaN and infinity are refused where they stand."""
    response = it.client.post(
        f"/v1/collections/{it.collection}/search", content=body,
        headers={"content-type": "application/json"},
    )  # fmt: skip

    assert response.status_code == httpx2.codes.BAD_REQUEST


def test_a_limit_over_the_count_gives_all(it: Deployment) -> None:
    """More cannot come than there is, and nobody minds."""
    assert len(got(it, "search", query={"vector": [1.0] * DIM}, limit=1000)["hits"]) == COUNT


def test_deleting_by_filter_takes_what_passes_and_nothing_else(it: Deployment) -> None:
    """The last test of the file, as it takes documents away from the others."""
    chosen = group(([LEAVES[0]], [], [LEAVES[7]], None))
    gone = [doc.doc_id for doc in library() if chosen.holds(doc)]

    answer = got(it, "documents/delete", filter=chosen.plain)
    left = [hit["id"] for hit in got(it, "search", query={"text": "amber"}, limit=COUNT)["hits"]]

    assert sorted(answer["deleted"]) == gone
    assert not set(left) & set(gone)
    assert got(it, "documents/count", filter=chosen.plain)["count"] == 0
    assert got(it, "documents/count")["count"] == COUNT - len(gone)
