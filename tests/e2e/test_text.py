"""The main job through real processes: text in over HTTP, the right document out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.deployment import Deployment

DOCUMENTS: list[dict[str, Any]] = [
    {
        "id": "os.path.join",
        "text": "Join two or more pathname components, inserting '/' as needed. If any component is"
        " an absolute path, all previous path components will be discarded.",
        "tags": {"module": "os"},
    },
    {"id": "zlib.compress", "text": "Returns a bytes object containing compressed data."},
    {"id": "math.sqrt", "text": "Return the square root of x."},
    {"id": "smtplib.SMTP", "text": "This class manages a connection to a mail server."},
    {"id": "json.loads", "text": "Deserialize a str containing a JSON document to an object."},
    {"id": "shutil.rmtree", "text": "Recursively delete a directory tree. Errors are ignored."},
]


@pytest.fixture(scope="module")
def it(text_deployment: Deployment) -> Deployment:
    """Return the deployment with the documents above in it."""
    text_deployment.index(*DOCUMENTS)
    return text_deployment


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("how do I join two paths", "os.path.join"),
        ("compress bytes", "zlib.compress"),
        ("square root of a number", "math.sqrt"),
        ("send an e-mail", "smtplib.SMTP"),
        ("parse json", "json.loads"),
        ("remove a folder with everything in it", "shutil.rmtree"),
    ],
)
def test_a_question_finds_its_answer_first(it: Deployment, question: str, answer: str) -> None:
    """Words need not match: the meaning does."""
    assert it.ids(question, limit=3)[0] == answer


def test_a_hit_says_what_where_and_why(it: Deployment) -> None:
    """A hit carries content, tags, score, and its best chunks with their places in the text."""
    answer = it.search("how do I join two paths", limit=1, highlight=True, trace=True)

    (hit,) = answer["hits"]
    text = DOCUMENTS[0]["text"]
    assert hit["content"]["text"] == text
    assert hit["tags"] == {"module": "os"}
    assert len(hit["chunks"]) == 2
    for chunk in hit["chunks"]:
        start, end = chunk["span"]
        assert chunk["text"] == text[start:end]
    assert "<em>Join</em>" in hit["chunks"][0]["highlight"]
    assert answer["coverage"] == {"shards_total": 2, "shards_ok": 2, "degraded": False}
    stages = [stage["stage"] for stage in answer["trace"]["stages"]]
    assert stages == ["preprocess", "encode", "search", "reduce"]


def test_exactly_limit_hits_and_pages_that_do_not_overlap(it: Deployment) -> None:
    """``limit`` counts documents; ``offset`` continues where the page before ended."""
    whole = it.ids("data", limit=6)
    pages = [it.ids("data", limit=2, offset=offset) for offset in (0, 2, 4)]

    assert len(whole) == 6
    assert [doc_id for page in pages for doc_id in page] == whole


def test_a_threshold_cuts_off_what_is_worse(it: Deployment) -> None:
    """No hit under ``score_threshold`` is shown."""
    scores = [hit["score"] for hit in it.search("compress bytes", limit=6)["hits"]]
    threshold = (scores[0] + scores[1]) / 2

    kept = it.search("compress bytes", limit=6, score_threshold=threshold)["hits"]

    assert [hit["id"] for hit in kept] == ["zlib.compress"]
    assert scores == sorted(scores, reverse=True)


def test_a_hundred_clients_get_the_answers_that_one_gets(it: Deployment) -> None:
    """Coalesced queries do not mix up their answers, and a batch does not change a score."""
    questions = ["parse json", "compress bytes", "square root", "join two paths", "send mail"] * 20
    alone = {question: it.search(question, limit=3)["hits"] for question in set(questions)}

    with ThreadPoolExecutor(16) as pool:
        together = list(pool.map(lambda question: it.search(question, limit=3)["hits"], questions))

    for question, hits in zip(questions, together, strict=True):
        assert [hit["id"] for hit in hits] == [hit["id"] for hit in alone[question]]
        assert [hit["score"] for hit in hits] == pytest.approx(
            [hit["score"] for hit in alone[question]], abs=1e-5
        )


def test_a_vector_query_enters_at_the_chord(it: Deployment) -> None:
    """A vector needs no encoder; one of a wrong length is refused with both numbers."""
    response = it.client.post(
        "/v1/embeddings", json={"input": ["Return the square root of x."], "model": "default"}
    )
    vector = response.json()["data"][0]["embedding"]

    hits = it.search(query={"vector": vector}, limit=1)["hits"]
    refused = it.ask(query={"vector": vector[:10]})

    assert hits[0]["id"] == "math.sqrt"
    assert hits[0]["score"] == pytest.approx(1.0, abs=1e-4)
    assert refused.status_code == 422
    assert "384" in refused.json()["detail"]


def test_an_explanation_adds_up_to_the_score(it: Deployment) -> None:
    """The tree's root is the score, and its chunks give the root."""
    answer = it.search("how do I join two paths", limit=3, explain=True, group_size=1)

    for hit in answer["hits"]:
        tree = hit["explanation"]
        chunks, weight = tree["operands"]
        assert tree["value"] == pytest.approx(hit["score"], abs=1e-6)
        assert sum(leaf["value"] for leaf in chunks["operands"]) * weight["value"] == pytest.approx(
            hit["score"], abs=1e-6
        )
        assert len(hit["chunks"]) == 1
        assert all(node["doc"] for node in (tree, chunks, weight))
