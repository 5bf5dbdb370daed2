"""Hybrid retrieval through real processes: one flow, one index of vectors and one of words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from indexstore.engines.bm25 import Bm25Engine
from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until
from tests.indexstore.test_words import oracle

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FLOW = """\
name: both
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 128}}
  - - {name: Indexer, id: Words, uses: bm25, with: {language: english}, shards: 2}
    - {name: Indexer, id: Near, uses: hnsw, shards: 2}
score: {fusion: %s, weights: {near: 0.5, words: 1.0}}
"""
DOCUMENTS = {
    "roses": ("Red roses climb the garden wall. They smell of summer.", "garden"),
    "train": ("The night train runs along the sea. It never stops.", "travel"),
    "soup": ("Soup of green peas, with bread.", "kitchen"),
    "garden": ("A garden needs water in summer.", "garden"),
    "tokyo": ("東京駅から京都まで新幹線で行く。", "travel"),
    "odd": ('Tags like <script> are "escaped" & harmless in gardens.', "garden"),
}
NUMBERED = 150
MODES = ("vector", "text", "hybrid")


def filled(folder: Path, fusion: str) -> Iterator[Deployment]:
    """Run the flow with this fusion, and store the documents."""
    flow = folder / "flow.yml"
    flow.write_text(FLOW % fusion)
    with deployed(folder, flow) as it:
        it.index(
            *(
                {"id": doc_id, "text": text, "tags": {"topic": topic}}
                for doc_id, (text, topic) in DOCUMENTS.items()
            ),
            *(
                {"id": f"n{n:03}", "text": f"Lantern number {n} of the harbour.", "tags": {"n": n}}
                for n in range(NUMBERED)
            ),
        )
        yield it


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Return the deployment that fuses by ranks."""
    yield from filled(tmp_path_factory.mktemp("both"), "rrf")


def post(it: Deployment, what: str, **body: Any) -> dict[str, Any]:
    """Ask another route of the collection, and return its answer."""
    response = it.client.post(f"/v1/collections/{it.collection}/{what}", json=body)
    response.raise_for_status()
    return dict(response.json())


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_finds_what_it_should(it: Deployment, mode: str) -> None:
    """All three put the document that says it first, and answer from every shard they ask."""
    answer = it.search("red roses climb the garden wall", mode=mode, limit=3)

    assert answer["hits"][0]["id"] == "roses"
    assert answer["coverage"]["shards_ok"] == (4 if mode == "hybrid" else 2)
    assert not answer["coverage"]["degraded"]


def test_words_are_found_by_stem_and_only_where_they_are(it: Deployment) -> None:
    """Text mode knows "gardens" from "garden", and returns no document without any of the words."""
    assert set(it.ids("gardens", mode="text")) == {"roses", "garden", "odd"}


def test_words_are_as_rare_as_in_all_shards_together(it: Deployment) -> None:
    """Scores are those of BM25 over the whole collection, though each shard holds half of it."""
    texts = {doc_id: text for doc_id, (text, _) in DOCUMENTS.items()}
    texts |= {f"n{n:03}": f"Lantern number {n} of the harbour." for n in range(NUMBERED)}
    query = "red lantern number 77 by the sea"
    expected = oracle(texts, query, Bm25Engine({"language": "english"}))

    def found() -> list[tuple[str, float]]:
        return [(hit["id"], hit["score"]) for hit in it.search(query, mode="text")["hits"]]

    wait_until(lambda: [i for i, _ in found()] == [i for i, _ in expected])
    wait_until(lambda: [s for _, s in found()] == pytest.approx([s for _, s in expected], rel=1e-4))


@pytest.mark.parametrize("mode", ["text", "hybrid"])
@pytest.mark.parametrize("words", ["新幹線", "京都"])
def test_words_of_unspaced_scripts_are_found(it: Deployment, words: str, mode: str) -> None:
    """A word within a run of Chinese characters is found and marked by itself."""
    hit = it.search(words, mode=mode, highlight=True)["hits"][0]

    assert hit["id"] == "tokyo"
    assert f"<em>{words}</em>" in hit["highlight"]
    assert any(f"<em>{words}</em>" in chunk["highlight"] for chunk in hit["chunks"])


def test_hybrid_is_the_default(it: Deployment) -> None:
    """A flow that has both kinds of index uses both."""
    assert it.search("garden")["hits"] == it.search("garden", mode="hybrid")["hits"]


@pytest.mark.parametrize("mode", MODES)
def test_a_filter_holds_in_every_mode(it: Deployment, mode: str) -> None:
    """Nothing comes back that does not pass, and all that passes can."""
    garden = {"must": [{"key": "topic", "match": {"value": "garden"}}]}

    found = it.ids("summer in the garden", mode=mode, filter=garden)

    assert set(found) <= {"roses", "garden", "odd"}
    assert "garden" in found


def test_both_indexes_highlight(it: Deployment) -> None:
    """The words are marked in the chunks and in the excerpt of the text index, all else escaped."""
    (hit,) = it.search("script harmless garden", highlight=True, limit=1)["hits"]

    assert hit["id"] == "odd"
    assert "&lt;<em>script</em>&gt;" in hit["chunks"][0]["highlight"]
    assert "<em>gardens</em>" in hit["highlight"]
    assert "<script>" not in hit["highlight"]


def test_an_explanation_adds_up_over_both_indexes(it: Deployment) -> None:
    """The places in the two rankings, by their weights, are the score."""
    for hit in it.search("red roses by the sea", explain=True, limit=5)["hits"]:
        tree = hit["explanation"]
        places = {leaf["name"]: leaf for leaf in tree["operands"]}

        assert set(places) == {"place in words", "place in near"}
        assert sum(leaf["value"] for leaf in tree["operands"]) == pytest.approx(hit["score"])
        for leaf in places.values():
            if leaf["rank"] is not None:
                assert leaf["value"] == pytest.approx(leaf["weight"] / (60 + leaf["rank"]))
                assert leaf["operands"][0]["name"] in {"BM25", "document"}


def test_a_threshold_is_of_the_fused_score(it: Deployment) -> None:
    """Those at or above it come back, in the same order."""
    hits = it.search("garden in summer", limit=20)["hits"]
    third = hits[2]["score"]

    kept = it.search("garden in summer", limit=20, score_threshold=third)["hits"]

    assert [hit["id"] for hit in kept] == [hit["id"] for hit in hits if hit["score"] >= third]
    assert 0 < len(kept) < len(hits)


@pytest.mark.parametrize("mode", MODES)
def test_pages_by_offset_neither_repeat_nor_skip(it: Deployment, mode: str) -> None:
    """Page after page is the one long answer, also where fusion has to look deeper."""
    whole = it.ids("lantern of the harbour", mode=mode, limit=NUMBERED)

    paged = [
        doc_id
        for offset in range(0, NUMBERED, 30)
        for doc_id in it.ids("lantern of the harbour", mode=mode, limit=30, offset=offset)
    ]

    assert len(set(whole)) == NUMBERED
    assert paged == whole


def test_a_scroll_meets_every_document_once(it: Deployment) -> None:
    """By cursor, through all that pass a filter, to the end."""
    late = {"must": [{"key": "n", "range": {"gte": 50}}]}
    seen: list[str] = []
    cursor = None
    while cursor is not None or not seen:
        page = post(it, "documents/scroll", filter=late, limit=30, cursor=cursor)
        seen += [document["id"] for document in page["documents"]]
        cursor = page["cursor"]

    assert seen == [f"n{n:03}" for n in range(50, NUMBERED)]


def test_counts_and_facets_are_exact(it: Deployment) -> None:
    """Each document counts once, however many indexes hold it."""
    travel = {"must": [{"key": "topic", "match": {"value": "travel"}}]}

    count = post(it, "documents/count", filter=travel)["count"]
    values = post(it, "documents/facet", key="topic")["values"]

    assert count == 2
    assert values[0] == {"value": "garden", "count": 3}
    assert {entry["value"]: entry["count"] for entry in values} == {
        "garden": 3, "travel": 2, "kitchen": 1,
    }  # fmt: skip


def test_more_like_a_document_without_itself(it: Deployment) -> None:
    """By id and by recommendation, in a flow whose first index holds no vectors."""
    by_id = it.ids(query={"id": "garden"}, limit=5)
    like = post(it, "recommend", positive=["garden"], negative=["soup"], limit=5)["hits"]

    assert "garden" not in by_id
    assert "roses" in by_id
    assert not {"garden", "soup"} & {hit["id"] for hit in like}


def test_several_vectors_are_searched_by_their_weights(it: Deployment) -> None:
    """The heavier vector leads; a negative one drives its own document away."""
    rows = [post_embedding(it, DOCUMENTS[doc_id][0]) for doc_id in ("train", "soup")]

    heavy, light = (
        it.ids(query={"vectors": rows, "weights": weights}, limit=3)
        for weights in ([1.0, 0.1], [0.1, 1.0])
    )
    away = it.ids(query={"vectors": rows, "weights": [1.0, -1.0]}, limit=5)

    assert (heavy[0], light[0], away[0]) == ("train", "soup", "train")
    assert "soup" not in away


def post_embedding(it: Deployment, text: str) -> list[float]:
    """Return the vector of a text."""
    response = it.client.post("/v1/encode", json={"texts": [text]})
    response.raise_for_status()
    vector: list[float] = response.json()["embeddings"][0]
    return vector


def test_a_group_is_as_large_as_asked(it: Deployment) -> None:
    """``group_size`` bounds the chunks shown, best first, and not the documents."""
    one, two = (
        it.search("red roses smell of summer", mode="vector", group_size=size)["hits"][0]
        for size in (1, 2)
    )

    assert one["id"] == two["id"] == "roses"
    assert (len(one["chunks"]), len(two["chunks"])) == (1, 2)
    assert two["chunks"][0]["score"] >= two["chunks"][1]["score"]


def test_the_command_line_searches_by_mode(it: Deployment) -> None:
    """``gnes search --mode --filter --explain`` asks as it was told."""
    travel = '{"must": [{"key": "topic", "match": {"value": "travel"}}]}'
    done = subprocess.run(
        [
            sys.executable, "-m", "app.cli.main", "search", "新幹線", "--server", it.url, "--json",
            "--mode", "text", "--explain", "--filter", travel,
        ],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert '"tokyo"' in done.stdout
    assert "BM25" in done.stdout


def test_weighted_fusion_counts_scores(tmp_path: Path) -> None:
    """With ``fusion: weighted`` the best by words, of weight 1, leads with at least 1."""
    for it in filled(tmp_path, "weighted"):
        answer = it.search("red roses climb the garden wall", explain=True, limit=3)

        first = answer["hits"][0]
        assert first["id"] == "roses"
        assert first["score"] == pytest.approx(1.5, abs=1e-5)
        assert first["explanation"]["name"] == "weighted fusion"
