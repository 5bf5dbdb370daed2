"""What do eight bytes a chunk cost? Recall@10 of GNES's example chain against exact search.

Run: python -m benchmarks.gnes_chain --data ../shared/data/cranfield

The chain is MiniLM, PCALocal (32 dimensions, 8 groups), PQ (8 bytes); neighbours are taken by equal
bytes, as GNES's BIndexer did, and by the distance of the bytes' centroids.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Source
from workers.encode.pca import PCALocal
from workers.encode.pq import PQ
from workers.preprocess.sentences import SentenceSplitter
from workers.registry import create

ASKED = 200


def main() -> None:
    """Encode sentences, train the chain on all but the asked ones, and print recall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/cranfield"))
    parser.add_argument("--sentences", type=int, default=4000)
    chosen = parser.parse_args()
    rows = embeddings(chosen.data / "corpus.jsonl", chosen.sentences)
    pca, pq = PCALocal(dim=32, num_locals=8), PQ(num_bytes=8)
    pca.learn(rows[ASKED:])
    reduced = pca.transform(rows)
    pq.learn(reduced[ASKED:])
    codes = pq.transform(reduced)
    exact = nearest(rows[:ASKED] @ rows[ASKED:].T)
    table = pq.state()["centroids"]
    decoded = np.hstack([table[part][codes[:, part] - 1] for part in range(codes.shape[1])])
    equal = (codes[:ASKED, None] == codes[None, ASKED:]).sum(axis=2).astype(np.float32)
    print(f"sentences {len(rows)}, asked {ASKED}")
    print(f"PCALocal 32, exact           {recall(exact, distances(reduced)):.3f}")
    print(f"PQ 8 bytes, by centroids     {recall(exact, distances(decoded)):.3f}")
    print(f"PQ 8 bytes, by equal bytes   {recall(exact, nearest(equal)):.3f}")


def embeddings(path: Path, limit: int) -> NDArray[np.float32]:
    """Return the vectors of the first sentences of a corpus."""
    splitter = SentenceSplitter()
    texts = [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]
    chunks = [
        chunk
        for text in texts[:limit]
        if text.strip()
        for chunk in splitter.apply(Source("text", text=text))
    ][:limit]
    encoder = create("MiniLM", kind=Encoder)
    encoder.setup()
    return encoder.encode([Chunk(place, text=chunk.text) for place, chunk in enumerate(chunks)])


def distances(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the ten rows nearest to each asked one, by Euclidean distance."""
    asked, kept = rows[:ASKED], rows[ASKED:]
    return nearest(2 * asked @ kept.T - np.square(kept).sum(axis=1))


def nearest(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the ten best columns of each row."""
    return np.asarray(np.argsort(-scores, axis=1, kind="stable")[:, :10])


def recall(exact: NDArray[np.int64], found: NDArray[np.int64]) -> float:
    """Return the mean share of the exact ten that were found."""
    return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact, found, strict=True)]))


if __name__ == "__main__":
    main()
