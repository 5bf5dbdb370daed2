"""A flow of nothing but plug-ins, one of each kind, through real processes; and a broken one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until

MINE = '''
"""One plug-in of each kind."""

import numpy as np

from indexstore.engines.base import Engine
from indexstore.scoring import best_columns, relevance
from workers.component import Chunk, Encoder, Preprocessor, Reducer, Reranker
from workers.preprocess.texts import chunks_of, text_from
from workers.score.formula import Formula

class Lines(Preprocessor):
    """A chunk a line, all of weight 1."""

    inputs = ("text",)

    def apply(self, source):
        text, spans, start = text_from(source), [], 0
        for line in text.value.split("\\n"):
            spans += [(start, start + len(line))] if line.strip() else []
            start += len(line) + 1
        return chunks_of(text, spans, max_chunks=100, weights="equal")

class Letters(Encoder):
    """How often each letter comes."""

    dim = 26

    def encode(self, chunks):
        rows = np.full((len(chunks), 26), 1e-3, np.float32)
        for row, chunk in zip(rows, chunks, strict=True):
            for letter in chunk.text.lower():
                if "a" <= letter <= "z":
                    row[ord(letter) - 97] += 1
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

class Listed(Engine):
    """Looks at every row."""

    OPTIONS = {"shown": 1000}

    @property
    def count(self):
        return len(self._rows)

    def build(self, rows, path):
        with path.open("wb") as file:
            np.save(file, rows)

    def open(self, path):
        self._rows = np.load(path)

    def _search(self, queries, limit, allowed, *, effort):
        scores = relevance(self.metric, queries, self._rows)
        if allowed is not None:
            scores[:, ~allowed.rows] = -np.inf
        best, rows = best_columns(scores, min(limit, self.options["shown"]))
        rows[np.isneginf(best)] = -1
        return best, rows

class Cubed(Formula):
    """The score to the power of three."""

    def formula(self, values, factors):
        return values**3

class Second(Reducer):
    """The second best chunk, or the only one."""

    def reduce(self, values, groups, count):
        out = np.zeros(count)
        for group in range(count):
            mine = np.sort(values[groups == group])[::-1]
            out[group] = mine[min(1, len(mine) - 1)] if len(mine) else 0.0
        return out

class Shorter(Reranker):
    """Short texts come first."""

    def rerank(self, query, texts):
        return np.array([1.0 / len(text) for text in texts], np.float32)
'''
FLOW = """
name: mine
services:
  - {name: Preprocessor, uses: Lines, py_path: mine.py}
  - {name: Encoder, uses: Letters, py_path: mine.py}
  - {name: Indexer, uses: Listed, py_path: mine.py, shards: 2, with: {shown: 500}}
  - {name: Router, uses: Shorter, py_path: mine.py}
score: {py_path: mine.py, chunk: Cubed, reduce: Second}
"""
BROKEN = """
name: broken
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Mine, py_path: broken.py}
  - {name: Indexer, uses: exact}
"""
DOCUMENTS = [
    {"id": "long", "text": "abc abc\nabc\nxyz and some more words that make it long"},
    {"id": "short", "text": "abc\nabd"},
    {"id": "other", "text": "zzz\nyyy"},
]


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run the flow of plug-ins with three documents."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(MINE)
    flow = folder / "mine.yml"
    flow.write_text(FLOW)
    with deployed(folder, flow) as running:
        running.index(*DOCUMENTS)
        yield running


def test_plug_ins_of_every_kind_work_together(it: Deployment) -> None:
    """Cut by lines, encoded by letters, reranked by length; the tree names them all."""
    hits = it.search("abc", limit=3, explain=True)["hits"]

    assert [hit["id"] for hit in hits] == ["other", "short", "long"]
    assert [len(hit["chunks"]) for hit in hits] == [2, 2, 3]
    long = hits[2]["explanation"]
    assert [long["name"], long["operands"][0]["name"]] == ["Shorter", "WeightedDocument"]
    reduced = long["operands"][0]["operands"][0]
    assert (reduced["name"], reduced["doc"]) == (
        "Second",
        "The second best chunk, or the only one.",
    )
    assert [one["name"] for one in reduced["operands"]] == ["Cubed"] * 3
    values = sorted((one["value"] for one in reduced["operands"]), reverse=True)
    assert reduced["value"] == pytest.approx(values[1], abs=1e-6)
    assert values[:2] == pytest.approx([1.0, 1.0], abs=1e-2)


def test_an_engine_of_ones_own_serves_segments(it: Deployment) -> None:
    """Enough documents for a segment: the build worker writes it with the plug-in's engine."""
    it.index(*({"id": f"d{i}", "text": f"{'abcdefgh'[i % 8] * (1 + i // 8)}"} for i in range(2400)))

    wait_until(lambda: all(shard["segments"] for shard in shards(it)), 60, it.story)
    assert len(it.ids("abc", limit=50)) == 50


def shards(it: Deployment) -> list[dict[str, Any]]:
    """Return what the shards say of themselves."""
    listed = it.client.get("/v1/shards").json()["shards"]
    return [replica for shard in listed for replica in shard["replicas"]]


def test_a_broken_plug_in_ends_its_own_flow_with_its_traceback(
    it: Deployment, tmp_path: Path
) -> None:
    """`gnes up` says the line that raised and ends; the flow beside it goes on answering."""
    (tmp_path / "broken.py").write_text("x = 1 / 0\n" + MINE.replace("Letters", "Mine"))
    flow = tmp_path / "broken.yml"
    flow.write_text(BROKEN)
    broken = Deployment(tmp_path, flow, {})

    with pytest.raises(AssertionError) as caught:
        broken.start()
    broken.stop()

    said = str(caught.value)
    assert 'broken.py", line 1' in said
    assert "ZeroDivisionError: division by zero" in said
    assert it.ids("abc", limit=1)


def test_the_tutorial_s_flow_runs(tmp_path: Path) -> None:
    """docs/components.md from its empty file to answers: shouted texts find shouted ones."""
    page = (ROOT / "docs" / "components.md").read_text(encoding="utf-8")
    python, yaml = (
        re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL) for language in ("python", "yaml")
    )
    (tmp_path / "shouting.py").write_text(python[0])
    (tmp_path / "tone.py").write_text(python[3])
    (tmp_path / "loud.yml").write_text(yaml[0] + yaml[1])

    with deployed(tmp_path, tmp_path / "loud.yml") as it:
        it.index(
            {"id": "loud", "text": "FIRE!! The house! It BURNS!"},
            {"id": "calm", "text": "a quiet evening. a cup of tea. a book."},
        )

        assert it.ids("HELP!! COME QUICKLY!")[0] == "loud"
        (hit,) = it.search("whisper softly", limit=1, explain=True)["hits"]
        assert (hit["id"], hit["explanation"]["name"]) == ("calm", "Longer")
