"""Documents a second, API in to searchable out, beside the encoder alone on the same cores.

    python -m benchmarks.ingest                     # 6 000 docstrings, three rounds
    python -m benchmarks.ingest --documents 1000 --rounds 1

The texts are real ones: the docstrings of the standard library and of the installed packages. The
bare encoder is the same component, in a process of its own with as many threads as the encode
worker has, fed with the same chunks in the same batches. The embedding cache is off.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

from app.demo.corpus import corpus
from benchmarks.deployment import REPOSITORY, Deployment, deployed, end_on_terminate
from benchmarks.search import machine

FLOW = (REPOSITORY / "flows" / "text.yml").read_text(encoding="utf-8")
REQUEST = 500  # documents a request
BATCH = 64  # documents in one message, the default of GNES_DOCUMENT_BATCH
NO_CACHE = {"GNES_CACHE_BYTES": "0"}


def feed(deployment: Deployment, documents: list[dict[str, Any]]) -> float:
    """Write the documents; return how many a second became searchable."""
    started = time.perf_counter()
    for start in range(0, len(documents), REQUEST):
        deployment.write(documents[start : start + REQUEST])
    deployment.wait_searchable(len(documents))
    return len(documents) / (time.perf_counter() - started)


def clear(deployment: Deployment, documents: list[dict[str, Any]]) -> None:
    """Delete the documents, so that the next round starts from nothing."""
    path = f"/v1/collections/{deployment.collection}/documents/delete"
    deployment.call("POST", path, {"ids": [document["id"] for document in documents]})
    while sum(shard["documents"] for shard in deployment.shards()):
        time.sleep(0.05)


def bare_rate(texts: list[str]) -> tuple[float, int]:
    """Return documents a second of the encoder alone, and the number of chunks it encoded."""
    threads = str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.ingest", "--as-bare-encoder"],
        cwd=REPOSITORY,
        input=json.dumps(texts).encode(),
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": threads},
        check=True,
    )
    seconds, chunks = json.loads(done.stdout)
    return len(texts) / seconds, chunks


def encode_alone() -> None:
    """Cut and encode the texts given on standard input; only the encoding is timed."""
    from compose.plan import ComponentSpec  # noqa: PLC0415 - of this program's other self only
    from workers.component import Encoder, Preprocessor, Source  # noqa: PLC0415
    from workers.registry import build  # noqa: PLC0415

    splitter = build(ComponentSpec("SentenceSplitter"), kind=Preprocessor)
    encoder = build(ComponentSpec("MiniLM"), kind=Encoder)
    splitter.setup()
    encoder.setup()
    texts = json.load(sys.stdin)
    cut = [list(splitter.apply(Source("text", text=text))) for text in texts]
    batches = [
        [chunk for chunks in cut[start : start + BATCH] for chunk in chunks]
        for start in range(0, len(cut), BATCH)
    ]
    encoder.encode(batches[0])  # warm
    started = time.perf_counter()
    for batch in batches:
        encoder.encode(batch)
    json.dump((time.perf_counter() - started, sum(map(len, batches))), sys.stdout)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--documents", type=int, default=6_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--as-bare-encoder", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.as_bare_encoder:
        encode_alone()
        return
    end_on_terminate()
    documents = corpus(options.documents)
    print(f"{len(documents)} docstrings; {machine()}")
    with deployed(FLOW, NO_CACHE) as deployment:
        compete(deployment, documents, options.rounds)


def compete(deployment: Deployment, documents: list[dict[str, Any]], rounds: int) -> None:
    """Measure both in turn and print the table."""
    texts = [document["text"] for document in documents]
    feed(deployment, documents[:200])
    clear(deployment, documents[:200])
    print("\n| round | ours | bare encoder | ratio |\n|--:|--:|--:|--:|")
    ratios: list[float] = []
    for number in range(1, rounds + 1):
        bare, chunks = bare_rate(texts)
        ours = feed(deployment, documents)
        clear(deployment, documents)
        ratios.append(ours / bare)
        cells = f"{ours:.0f} documents/s | {bare:.0f} documents/s ({chunks} chunks)"
        print(f"| {number} | {cells} | {ratios[-1]:.2f} |", flush=True)
    print(f"\nmedian ratio {np.median(ratios):.2f}")


if __name__ == "__main__":
    main()
