"""A model file that changes behind the flow's back is noticed, and a reindexing takes it over."""

from __future__ import annotations

from pathlib import Path

import httpx2

from tests.e2e.deployment import deployed, wait_until

FLOW = """
name: words
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: WordVectors, with: {path: %s, dim: 3}}
  - {name: Indexer, uses: exact}
"""
FIRST = "rose 1 0 0\ntulip 0.9 0.1 0\noven 0 1 0\n"
SECOND = "rose 0 0 1\ntulip 0 0.1 0.9\noven 1 0 0\n"


def test_vectors_of_two_models_are_never_compared(tmp_path: Path) -> None:
    """Queries and documents are refused with the cure; after it the new file serves."""
    words, flow = tmp_path / "words.txt", tmp_path / "words.yml"
    words.write_text(FIRST)
    flow.write_text(FLOW % words)
    with deployed(tmp_path, flow) as it:
        it.index({"id": "a", "text": "A rose."}, {"id": "b", "text": "An oven."})
        assert it.ids("tulip") == ["a", "b"]

    words.write_text(SECOND)
    with deployed(tmp_path, flow) as it:
        answer = it.ask("tulip")
        it.index({"id": "c", "text": "A tulip."}, wait="indexed")
        document = it.client.get("/v1/collections/words/documents/c").json()

        assert answer.status_code == httpx2.codes.CONFLICT, answer.text
        assert "the model of Encoder0 has changed" in answer.json()["detail"]
        assert "gnes reindex" in answer.json()["detail"]
        assert document["status"] == "failed"
        assert "has changed since the collection was encoded" in document["error"]

        job = it.client.post(
            "/v1/collections/words/reindex", params={"wait": "done", "timeout": 60}, timeout=70
        )

        assert job.json()["state"] == "completed", job.text
        wait_until(lambda: it.ask("tulip").status_code == httpx2.codes.OK, story=it.story)
        assert it.ids("tulip") == ["a", "b"]
        it.index({"id": "c", "text": "A tulip."})
        assert it.ids("tulip", limit=2) == ["c", "a"]
