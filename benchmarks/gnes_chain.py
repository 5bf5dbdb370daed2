"""What do eight bytes a chunk cost? Recall@10 of GNES's example chain against exact search.

Run: python -m benchmarks.gnes_chain --data FOLDER

The chain is MiniLM, PCALocal (32 dimensions, 8 groups), PQ (8 bytes). It learns from sentences,
others are asked for, and the ten found are compared with the ten nearest by MiniLM's own vectors.
Neighbours are taken by equal bytes, as GNES's BIndexer did and our binary index does, and by the
distance of the bytes' centroids, as faiss does. The last row goes through a deployment of
flows/gnes_chain.yml (32 clusters a byte): trained by POST /train, filled and asked over HTTP.
"""

import argparse
import json
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.cranfield import LAYOUT
from benchmarks.deployment import ACCEPT_BATCH, deployed, end_on_terminate
from workers.component import Chunk, Encoder, Source
from workers.encode.pca import PCALocal
from workers.encode.pq import PQ
from workers.preprocess.sentences import SentenceSplitter
from workers.registry import create

ASKED = 200
CLUSTERS = (8, 16, 32, 64, 255)
FLOW = Path(__file__).parents[1] / "flows" / "gnes_chain.yml"


def main() -> None:
    """Encode sentences, train the chain on all but the asked ones, and print recall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help=LAYOUT)
    parser.add_argument("--sentences", type=int, default=4000)
    parser.add_argument("--alone", action="store_true", help="leave the deployment out")
    chosen = parser.parse_args()
    end_on_terminate()
    texts = sentences(chosen.data / "corpus.jsonl", chosen.sentences)
    rows = embeddings(texts)
    pca = PCALocal(dim=32, num_locals=8)
    pca.learn(rows[ASKED:])
    reduced = pca.transform(rows)
    exact = nearest(rows[:ASKED] @ rows[ASKED:].T)
    print(f"{len(rows)} sentences, {ASKED} of them asked for; recall@10\n")
    print("| chain | by distance | by equal bytes |\n|---|--:|--:|")
    print(f"| PCALocal 32 | {recall(exact, distances(reduced)):.3f} | |")
    for clusters in CLUSTERS:
        near, equal = quantised(reduced, clusters)
        cells = f"{recall(exact, near):.3f} | {recall(exact, equal):.3f}"
        print(f"| and PQ of 8 bytes, {clusters} clusters each | {cells} |", flush=True)
    if not chosen.alone:
        found = recall(exact, deployed_nearest(texts))
        print(f"| the same of 32 clusters, deployed | | {found:.3f} |")


def quantised(
    reduced: NDArray[np.float32], clusters: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the ten nearest by the distance of the bytes' centroids, and by equal bytes."""
    pq = PQ(num_bytes=8, clusters=clusters)
    pq.learn(reduced[ASKED:])
    codes = pq.transform(reduced)
    table = pq.state()["centroids"]
    decoded = np.hstack([table[part][codes[:, part] - 1] for part in range(codes.shape[1])])
    equal = (codes[:ASKED, None] == codes[None, ASKED:]).sum(axis=2).astype(np.float32)
    return distances(decoded), nearest(equal)


def deployed_nearest(texts: list[str]) -> NDArray[np.int64]:
    """Return the ten documents that a deployment finds for each asked text, by number."""
    asked, kept = texts[:ASKED], texts[ASKED:]
    with deployed(FLOW.read_text("utf-8")) as it:
        lessons = [{"text": text} for text in kept]
        path = f"/v1/collections/{it.collection}/train?wait=done&timeout=300"
        state = it.call("POST", path, lessons)["state"]
        if state != "completed":
            raise SystemExit(f"the training ended as {state}")
        for start in range(0, len(kept), ACCEPT_BATCH):
            numbers = range(start, min(start + ACCEPT_BATCH, len(kept)))
            it.write([{"id": str(number), "text": kept[number]} for number in numbers])
        it.wait_searchable(len(kept))
        answers = [it.search({"query": {"text": text}, "limit": 10}) for text in asked]
    return np.array([[int(hit["id"]) for hit in answer["hits"]] for answer in answers])


def sentences(path: Path, limit: int) -> list[str]:
    """Return the first sentences of a corpus, each once."""
    splitter = SentenceSplitter()
    texts = [json.loads(line)["text"] for line in path.read_text("utf-8").splitlines()]
    chunks = (
        str(chunk.text)
        for text in texts
        if text.strip()
        for chunk in splitter.apply(Source("text", text=text))
    )
    return list(dict.fromkeys(islice(chunks, limit)))


def embeddings(texts: list[str]) -> NDArray[np.float32]:
    """Return the vectors of texts."""
    encoder = create("MiniLM", kind=Encoder)
    encoder.setup()
    return encoder.encode([Chunk(place, text=text) for place, text in enumerate(texts)])


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
