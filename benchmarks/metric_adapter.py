"""Does the metric adapter help? nDCG@10 on Cranfield, every query judged by a map it did not teach.

Run: python -m benchmarks.metric_adapter --data FOLDER

Five folds: the adapter learns from the judgements of four fifths of the queries and is measured on
the rest. Its strength (pull) it chooses by itself, by cross-validation within those four fifths.
One split into folds is a matter of luck, so several are made, each is shown, and a query counts
with its mean over them. p is of a paired randomisation test over those means.

What this does not hold apart: the defaults that are no pull (epochs, learning rate, the pulls that
are tried, the number of folds within) were settled on this same collection.

``--fixed`` shows how much the strength matters, on the first split. All splits take a quarter of an
hour: with ``--keep FOLDER`` a run that was cut off goes on where it was.
"""

import argparse
import csv
import json
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.evaluation import ndcg_at, significance
from benchmarks.cranfield import LAYOUT, read
from workers.component import Chunk, Encoder
from workers.encode.metric_adapter import PULLS, MetricAdapter
from workers.registry import create

Judgements = dict[int, dict[int, int]]
FOLDS = 5
SPLITS = (1, 2, 3, 4, 5)
LIMIT = 10


def main() -> None:
    """Encode, learn and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=LAYOUT)
    parser.add_argument("--fixed", action="store_true", help="also measure each pull by itself")
    parser.add_argument("--keep", type=Path, help="where vectors and finished folds are kept")
    chosen = parser.parse_args()
    documents, queries = read(chosen.data / "corpus.jsonl"), read(chosen.data / "queries.jsonl")
    judged = judgements(chosen.data / "qrels" / "test.tsv", documents, queries)
    kept = Kept(chosen.keep)
    rows, asked = kept.vectors(
        [f"{entry.get('title', '')} {entry['text']}" for entry in documents],
        [entry["text"] for entry in queries],
    )
    before = {query: ndcg(asked[query], rows, grades) for query, grades in judged.items()}
    table(before, [cross_validated(asked, rows, judged, kept, split=split) for split in SPLITS])
    if chosen.fixed:
        print("\n| pull in all folds | nDCG@10 | margin | p |\n|---|--:|--:|--:|")
        for pull in PULLS:
            mean, margin, p = compared(
                before, cross_validated(asked, rows, judged, kept, split=SPLITS[0], pull=pull)
            )
            print(f"| {pull} | {mean:.4f} | {margin:+.4f} | {p:.4f} |", flush=True)


def judgements(
    path: Path, documents: list[dict[str, str]], queries: list[dict[str, str]]
) -> Judgements:
    """Return the grades above 0, by row of query and document."""
    document_rows = {entry["_id"]: row for row, entry in enumerate(documents)}
    query_rows = {entry["_id"]: row for row, entry in enumerate(queries)}
    grades: Judgements = defaultdict(dict)
    with path.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            if int(row["score"]) > 0:
                query, document = query_rows[row["query-id"]], document_rows[row["corpus-id"]]
                grades[query][document] = int(row["score"])
    return dict(grades)


class Kept:
    """What a run that was cut off had found out; without a folder nothing is kept."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def vectors(
        self, documents: list[str], queries: list[str]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return a row a document and a row a query, by MiniLM."""
        path = self._folder / "vectors.npz" if self._folder else None
        if path and path.exists():
            with np.load(path) as found:
                return found["documents"], found["queries"]
        encoder = create("MiniLM", kind=Encoder)
        encoder.setup()
        rows, asked = encode(encoder, documents), encode(encoder, queries)
        if path:
            np.savez(path, documents=rows, queries=asked)
        return rows, asked

    def fold(self, name: str, measure: Callable[[], dict[int, float]]) -> dict[int, float]:
        """Return the scores of a fold's queries, measured now or before."""
        path = self._folder / f"{name}.json" if self._folder else None
        if path and path.exists():
            return {int(query): score for query, score in json.loads(path.read_text()).items()}
        scores = measure()
        if path:
            path.write_text(json.dumps(scores))
        return scores


def encode(encoder: Encoder, texts: list[str]) -> NDArray[np.float32]:
    """Return a row a text."""
    return encoder.encode([Chunk(place, text=text) for place, text in enumerate(texts)])


def cross_validated(
    asked: NDArray[np.float32],
    rows: NDArray[np.float32],
    judged: Judgements,
    kept: Kept,
    *,
    split: int,
    pull: float | None = None,
) -> dict[int, float]:
    """Return nDCG@10 of every query under a map learnt from the other folds.

    Args:
        asked: a row a query.
        rows: a row a document.
        judged: the grades above 0.
        kept: folds that were measured before.
        split: seed of the division into folds.
        pull: None has each map choose its own, on its own queries.
    """
    order = np.random.default_rng(split).permutation(sorted(judged))
    scores: dict[int, float] = {}
    for place, held_back in enumerate(np.array_split(order, FOLDS)):
        name = f"split-{split}-fold-{place}" + ("" if pull is None else f"-pull-{pull:g}")
        held = partial(_held_back, asked, rows, judged, held_back.tolist(), pull)
        scores |= kept.fold(name, held)
    return scores


def _held_back(
    asked: NDArray[np.float32],
    rows: NDArray[np.float32],
    judged: Judgements,
    held_back: list[int],
    pull: float | None,
) -> dict[int, float]:
    """Return nDCG@10 of the queries held back, under a map learnt from all others."""
    learning = [query for query in judged if query not in set(held_back)]
    pairs = [
        (place, document, float(grade))
        for place, query in enumerate(learning)
        for document, grade in judged[query].items()
    ]
    adapter = MetricAdapter(pull=pull)
    adapter.learn_pairs(asked[learning], rows, pairs)
    if pull is None:
        print(f"{len(learning)} queries chose a pull of {adapter.chosen_pull:g}", flush=True)
    mapped, mapped_rows = adapter.transform(asked), adapter.transform(rows)
    return {query: ndcg(mapped[query], mapped_rows, judged[query]) for query in held_back}


def ndcg(query: NDArray[np.float32], rows: NDArray[np.float32], grades: dict[int, int]) -> float:
    """Return nDCG@10 with gains 2^grade - 1."""
    best = np.argsort(-(rows @ query), kind="stable")[:LIMIT]
    return ndcg_at(LIMIT, list(map(str, best)), {str(row): grade for row, grade in grades.items()})


def compared(before: dict[int, float], after: dict[int, float]) -> tuple[float, float, float]:
    """Return the mean after, the margin over before, and its p."""
    old, new = (np.array([scores[query] for query in before]) for scores in (before, after))
    return float(new.mean()), float((new - old).mean()), significance(new, old)


def table(before: dict[int, float], splits: list[dict[int, float]]) -> None:
    """Print the means, margins and p of each split and of all together."""
    print(f"\n{len(before)} queries; MiniLM alone {np.mean(list(before.values())):.4f}\n")
    print("| split | nDCG@10 with adapter | margin | p |\n|---|--:|--:|--:|")
    together = {query: float(np.mean([after[query] for after in splits])) for query in before}
    for name, after in [*zip(map(str, SPLITS), splits, strict=True), ("mean", together)]:
        mean, margin, p = compared(before, after)
        print(f"| {name} | {mean:.4f} | {margin:+.4f} | {p:.4f} |")


if __name__ == "__main__":
    main()
