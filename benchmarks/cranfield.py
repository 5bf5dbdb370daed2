"""Is hybrid search better than its parts? nDCG@10 of vector, text and both on Cranfield.

Run: python -m benchmarks.cranfield --data FOLDER

1400 abstracts and 225 queries, through a preprocessor (abstracts whole, by default), MiniLM, the
index store's shards and the fusion of the reduce stage, in this process. The weights of weighted
fusion are chosen on the odd queries and judged on the even ones; p is of a paired randomisation
test.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.evaluation import ndcg_at, significance
from benchmarks.store import BenchStore
from compose.wire.fusing import WINDOW
from compose.wire.messages import ShardPart
from indexstore.model import ChunkTable, Document, IndexConfig
from indexstore.query import ShardHits, ShardQuery
from workers.component import Chunk, Encoder, Preprocessor, Source
from workers.reduce.fusion import Fusion
from workers.reduce.merge import Candidate, rank
from workers.registry import create

LIMIT = 10
LAYOUT = (
    "folder of a judged collection in BEIR's layout: corpus.jsonl, queries.jsonl, qrels/test.tsv"
)
GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)  # the vector index's share of the weights

Judgements = dict[str, dict[str, int]]
Run = list[list[Candidate]]


@dataclass(frozen=True, slots=True)
class Topics:
    """The queries that are judged, and their judgements."""

    ids: list[str]
    texts: list[str]
    judged: Judgements

    def scores(self, run: Sequence[Sequence[Candidate]]) -> NDArray[np.float64]:
        """Return nDCG@10 of each query."""
        return np.array(
            [
                ndcg_at(LIMIT, [one.doc_id for one in found], self.judged[query])
                for query, found in zip(self.ids, run, strict=True)
            ]
        )


def main() -> None:
    """Index, search in three modes, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=LAYOUT)
    parser.add_argument("--splitter", default="WholeText")
    parser.add_argument("--language", default="english", help="of BM25's stemmer; none: off")
    parser.add_argument("--score", default="sum", help="how chunks' scores become a document's")
    chosen = parser.parse_args()
    language = None if chosen.language == "none" else chosen.language
    near = IndexConfig("near", "vector", "hnsw", {"score": chosen.score}, "cosine")
    words = IndexConfig("words", "text", "bm25", {"language": language}, "ip")
    with tempfile.TemporaryDirectory() as folder:
        store = BenchStore(Path(folder))
        cutter, encoder = component(chosen.splitter, Preprocessor), component("MiniLM", Encoder)
        topics = topics_of(chosen.data)
        fill(store, read(chosen.data / "corpus.jsonl"), cutter, encoder)
        runs = {
            config.name: searched(store, config, embedded(topics, cutter, encoder), topics)
            for config in (near, words)
        }
    report(topics, runs)


def component(uses: str, kind: Any, options: Mapping[str, Any] | None = None) -> Any:
    """Return a component that is ready for work."""
    made = create(uses, options, kind=kind)
    made.setup()
    return made


def read(path: Path) -> list[dict[str, Any]]:
    """Return the entries of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def topics_of(data: Path) -> Topics:
    """Return the queries that have a judgement above 0."""
    judged: Judgements = defaultdict(dict)
    with (data / "qrels" / "test.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if int(row["score"]) > 0:
                judged[row["query-id"]][row["corpus-id"]] = int(row["score"])
    queries = [entry for entry in read(data / "queries.jsonl") if entry["_id"] in judged]
    return Topics([q["_id"] for q in queries], [q["text"] for q in queries], dict(judged))


def fill(
    store: BenchStore, corpus: list[dict[str, Any]], cutter: Preprocessor, encoder: Encoder
) -> None:
    """Cut, encode and index the abstracts: the title is their first sentence."""
    documents, tables = [], []
    for entry in corpus:
        text = f"{entry['title']}\n{entry['text']}".strip()
        if not text:
            continue  # two abstracts of the collection are empty
        chunks = cutter.apply(Source("text", text=text))
        documents.append(Document(entry["_id"], "text", {"text": text}, {}))
        tables.append(table_of(chunks, encoder.encode(chunks)))
    store.put(documents, tables)


def table_of(chunks: Sequence[Chunk], rows: NDArray[np.float32]) -> ChunkTable:
    """Return the columns of a document's chunks, as the encode stage hands them on."""
    return ChunkTable(
        np.array([chunk.position for chunk in chunks], np.int32),
        np.array([chunk.weight for chunk in chunks], np.float32),
        np.array([chunk.span for chunk in chunks], np.int32),
        tuple(chunk.text or "" for chunk in chunks),
        {"": rows},
    )


def embedded(topics: Topics, cutter: Preprocessor, encoder: Encoder) -> tuple[Any, Any, Any]:
    """Return rows, owners and weights of the queries' chunks."""
    cut = [cutter.apply(Source("text", text=text)) for text in topics.texts]
    owners = [number for number, chunks in enumerate(cut) for _ in chunks]
    flat = [chunk for chunks in cut for chunk in chunks]
    weights = [chunk.weight for chunk in flat]
    return encoder.encode(flat), np.array(owners, np.int32), np.array(weights, np.float32)


def searched(
    store: BenchStore, config: IndexConfig, rows: tuple[Any, Any, Any], topics: Topics
) -> Run:
    """Return each query's ranking in one index, as deep as fusion looks."""
    store.build(config)
    shard = store.open(config)
    texts = tuple(topics.texts) if config.kind == "text" else ()
    query = ShardQuery(*rows, queries=len(topics.ids), limit=WINDOW, texts=texts)
    hits = shard.search(query)
    shard.close()
    return rank([part_of(hits)], len(topics.ids))


def part_of(hits: ShardHits) -> ShardPart:
    """Return a shard's answer as reduce reads it."""
    return ShardPart(
        0, 0, counts=hits.counts, doc_ids=tuple(hits.doc_ids),
        versions=hits.versions, scores=hits.scores,
    )  # fmt: skip


def fused(runs: Mapping[str, Run], fusion: Fusion) -> Run:
    """Return each query's rankings fused."""
    pairs = zip(runs["near"], runs["words"], strict=True)
    return [fusion.fuse({"near": near, "words": words}, LIMIT) for near, words in pairs]


def best_share(topics: Topics, runs: Mapping[str, Run], learning: NDArray[np.bool_]) -> float:
    """Return the share of the vector index that does best on the learning queries."""
    means = {share: topics.scores(fused(runs, weighted(share)))[learning].mean() for share in GRID}
    return max(means, key=lambda share: float(means[share]))


def weighted(share: float) -> Fusion:
    """Return the fusion by scores that gives the vector index this share."""
    return Fusion("weighted", {"near": share, "words": 1 - share})


def report(topics: Topics, runs: Mapping[str, Run]) -> None:
    """Print all modes over all queries, then the chosen weights on the queries held back."""
    odd = np.array([number % 2 == 1 for number in range(len(topics.ids))])
    share = best_share(topics, runs, odd)
    scores = {
        "vector": topics.scores(runs["near"]),
        "text": topics.scores(runs["words"]),
        "hybrid, rrf": topics.scores(fused(runs, Fusion())),
        f"hybrid, weighted {share:.1f}": topics.scores(fused(runs, weighted(share))),
    }
    for title, among in (("all queries", odd | True), ("even queries, weights held out", ~odd)):
        print(f"\n{title}: {int(among.sum())}\n")
        print("| mode | nDCG@10 | over vector | p | over text | p |\n|---|---|---|---|---|---|")
        for mode, mine in scores.items():
            print(f"| {mode} | {mine[among].mean():.4f} | {_margins(mine, scores, among)} |")


def _margins(
    mine: NDArray[np.float64],
    scores: Mapping[str, NDArray[np.float64]],
    among: NDArray[np.bool_],
) -> str:
    cells = []
    for other in (scores["vector"], scores["text"]):
        margin = (mine - other)[among].mean()
        cells.append(f"{margin:+.4f} | {significance(mine[among], other[among]):.4f}")
    return " | ".join(cells)


if __name__ == "__main__":
    main()
