"""An encoder that makes what cannot be compared costs its document alone, and says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.deployment import deployed

PLUGIN = '''
"""An encoder that divides by nothing at some words, as untried ones do."""
import numpy as np
from workers.encode.hashing import HashingEncoder

class Odd(HashingEncoder):
    """Feature hashing; the word "void" becomes NaN."""

    name = "Odd"
    aliases = ()

    def __init__(self, *, dim: int = 64) -> None:
        super().__init__(dim=dim)

    def encode(self, chunks):
        rows = super().encode(chunks)
        rows[[i for i, chunk in enumerate(chunks) if "void" in (chunk.text or "")]] = np.nan
        return rows
'''
FLOW = """
name: odd
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Odd, py_path: odd.py}
  - {name: Indexer, uses: hnsw, shards: 2}
"""


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_an_encoder_spoils_is_told_and_costs_nobody_else(tmp_path: Path) -> None:
    """A document of NaN fails and keeps its old version; a query of NaN is refused, and alone.

    A chunk that the encoder knows no word of takes no other chunk of its document with it.
    """
    (tmp_path / "odd.py").write_text(PLUGIN)
    flow = tmp_path / "odd.yml"
    flow.write_text(FLOW)

    with deployed(tmp_path, flow) as it:
        it.index({"id": "a", "text": "Plain bread."}, {"id": "b", "text": "Rye bread. + ++. ? !"})
        written = it.index({"id": "a", "text": "The void."}, {"id": "c", "text": "White bread."})
        asked = [it.ask(text, limit=9) for text in ("void", "bread", "+++")]
        path = f"/v1/collections/{it.collection}/search/batch"
        searches = [{"query": {"text": text}} for text in ("bread", "void", "bread")]
        beside = it.client.post(path, json={"searches": searches}).json()["results"]

    items = {item["id"]: item for item in written["items"]}
    assert (items["a"]["status"], items["c"]["status"]) == ("failed", "indexed")
    assert "NaN" in items["a"]["error"]["reason"]
    assert [answer.status_code for answer in asked] == [422, 200, 200]
    assert "NaN" in asked[0].json()["detail"]
    assert sorted(hit["id"] for hit in asked[1].json()["hits"]) == ["a", "b", "c"]
    assert not any(answer.json()["coverage"]["degraded"] for answer in asked[1:])
    assert [result.get("status", 200) for result in beside] == [200, 422, 200]
