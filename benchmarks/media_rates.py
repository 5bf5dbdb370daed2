"""Pictures and film frames a second, HTTP in to searchable, beside decoder and model alone.

    python -m benchmarks.media_rates                      # 600 pictures, 12 films, five rounds
    python -m benchmarks.media_rates --pictures 200 --films 4 --rounds 1
    python -m benchmarks.media_rates --workers 1 2        # what further workers give

The bare pipeline is one process with the same preprocessor and encoder, as many threads for the
model as the encode worker has, and nothing else: bytes in memory to rows in memory. Its second
column decodes ahead in further threads, as a hand-made script for speed would. Rounds alternate, so
that what else the machine does hurts both. Pictures are crops of the photos of
benchmarks/media_data.py at 640 x 480; films are cut from its films at 640 x 360, with 25 frames
a second.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.copies import film, first_frames
from benchmarks.deployment import REPOSITORY, Deployment, deployed, end_on_terminate
from benchmarks.media_data import Data
from benchmarks.search import machine

NO_CACHE = {"GNES_CACHE_BYTES": "0"}
REQUEST_BYTES = 4 << 20  # of one form with files
BATCH = 16  # documents whose chunks the bare pipeline encodes together, as workers do
WIDTH, HEIGHT = 640, 480
FRAMES = 250  # of a film
SEED = 20191113
FLOW = """
name: {kind}s
services:
  - name: Preprocessor
    {kind}:
      uses: {preprocessor}
    replicas: {replicas}
  - name: Encoder
    {kind}: EfficientNetLite
    replicas: {replicas}
  - name: Indexer
    uses: hnsw
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What is fed: contents of one kind, and how many pictures or frames they are in all."""

    kind: str
    preprocessor: str
    suffix: str
    contents: tuple[bytes, ...]
    units: int

    def fresh(self) -> list[bytes]:
        """Return the contents as nobody has seen them: decoders skip what is added at the end."""
        mark = uuid.uuid4().bytes
        box = len(mark) + 8
        end = box.to_bytes(4, "big") + b"free" + mark if self.kind == "video" else mark
        return [content + end for content in self.contents]

    def flow(self, replicas: int = 1) -> str:
        """Return the flow that takes it in."""
        return FLOW.format(kind=self.kind, preprocessor=self.preprocessor, replicas=replicas)


def pictures(data: Data, count: int) -> Load:
    """Return JPEG pictures, each another crop of a photo."""
    rng = np.random.default_rng(SEED)
    photos = [Image.open(file).convert("RGB") for file, _ in data.photos()]
    contents = []
    for place in range(count):
        photo = photos[place % len(photos)]
        share = rng.uniform(0.5, 1.0)
        width, height = int(photo.width * share), int(photo.height * share)
        left = int(rng.integers(0, photo.width - width + 1))
        top = int(rng.integers(0, photo.height - height + 1))
        made = photo.crop((left, top, left + width, top + height)).resize((WIDTH, HEIGHT))
        file = io.BytesIO()
        made.save(file, "JPEG", quality=90)
        contents.append(file.getvalue())
    return Load("image", "WholeImage", "jpg", tuple(contents), count)


def films(data: Data, count: int) -> Load:
    """Return films, each of parts of others."""
    paths = data.films()
    parts = [list(first_frames(path, 50, (640, 360))) for path in paths]
    contents = []
    for place in range(count):
        frames: list[Any] = []
        for step in range(FRAMES):
            part = parts[(place + step // 50 * (1 + place % 3)) % len(parts)]
            frames.append(part[step % len(part)])
        contents.append(film(frames, 23, 640, 360))
    return Load("video", "VideoShots", "mp4", tuple(contents), count * FRAMES)


def feed(deployment: Deployment, load: Load) -> float:
    """Upload the contents; return how many pictures or frames a second became searchable.

    What was stored is deleted again, so that the next round starts from nothing.
    """
    requests = list(_forms(load))
    path = f"/v1/collections/{deployment.collection}/documents"
    started = time.perf_counter()
    ids: list[str] = []
    for boundary, body in requests:
        kind = f"multipart/form-data; boundary={boundary}"
        answer = deployment.call("POST", path, body, content_type=kind)
        ids += [item["id"] for item in answer["items"]]
    deployment.wait_searchable(len(load.contents))
    seconds = time.perf_counter() - started
    deployment.call("POST", f"{path}/delete", {"ids": ids})
    while sum(shard["documents"] for shard in deployment.shards()):
        time.sleep(0.05)
    return load.units / seconds


def _forms(load: Load) -> Iterator[tuple[str, bytes]]:
    boundary, parts, size = uuid.uuid4().hex, list[bytes](), 0
    for number, content in enumerate(load.fresh()):
        head = (
            f'--{boundary}\r\ncontent-disposition: form-data; name="docs"; '
            f'filename="{number}.{load.suffix}"\r\n\r\n'
        )
        parts += [head.encode(), content, b"\r\n"]
        size += len(content)
        if size > REQUEST_BYTES:
            yield boundary, b"".join([*parts, f"--{boundary}--\r\n".encode()])
            parts, size = [], 0
    if parts:
        yield boundary, b"".join([*parts, f"--{boundary}--\r\n".encode()])


def bare(load: Load, threads: int, *, ahead: bool = False) -> float:
    """Return pictures or frames a second of decoder and model alone, in a process of its own."""
    with tempfile.NamedTemporaryFile() as file:
        pickle.dump((load.kind, load.preprocessor, load.contents, ahead), file)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.media_rates", "--as-bare-pipeline", file.name],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            check=True,
        )
    return load.units / float(json.loads(done.stdout))


def run_alone(path: Path) -> None:
    """Decode and encode what a file holds; print how many seconds it took."""
    from compose.plan import ComponentSpec  # noqa: PLC0415 - of this program's other self only
    from workers.component import Chunk, Encoder, Preprocessor, Source  # noqa: PLC0415
    from workers.registry import build  # noqa: PLC0415

    kind, name, contents, ahead = pickle.loads(path.read_bytes())  # noqa: S301 - our own parent's
    cutter = build(ComponentSpec(name), kind=Preprocessor)
    encoder = build(ComponentSpec("EfficientNetLite"), kind=Encoder)
    cutter.setup()
    encoder.setup()

    def cut(content: bytes) -> list[Chunk]:
        return cutter.apply(Source(kind, data=content))

    encoder.encode(cut(contents[0]))  # warm
    threads = len(os.sched_getaffinity(0)) if ahead else 1
    started = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        made = pool.map(cut, contents) if ahead else map(cut, contents)
        chunks: list[Chunk] = []
        for number, found in enumerate(made, 1):
            chunks += found
            if number % BATCH == 0 or number == len(contents):
                encoder.encode(chunks)
                chunks = []
    json.dump(time.perf_counter() - started, sys.stdout)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=600)
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="*", help="compare so many of each stage")
    parser.add_argument("--as-bare-pipeline", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.as_bare_pipeline:
        run_alone(given.as_bare_pipeline)
        return
    end_on_terminate()
    data = Data()
    print(machine())
    loads = [pictures(data, given.pictures)] if given.pictures else []
    loads += [films(data, given.films)] if given.films else []
    for load in loads:
        if given.workers:
            scale(load, given.workers, given.rounds)
        else:
            compete(load, given.rounds)


def compete(load: Load, rounds: int) -> None:
    """Measure both in turn and print the table."""
    unit = "frames" if load.kind == "video" else "pictures"
    size = sum(map(len, load.contents)) / len(load.contents) / 1024
    print(f"\n{len(load.contents)} x {load.kind}, {size:.0f} KiB each, {load.units} {unit}\n")
    print(f"| round | {unit}/s | bare | ratio | bare, decoding ahead | ratio |")
    print("|--:|--:|--:|--:|--:|--:|")
    cores = len(os.sched_getaffinity(0))
    ratios: list[tuple[float, float]] = []
    with deployed(load.flow(), NO_CACHE) as deployment:
        feed(deployment, load)
        for number in range(1, rounds + 1):
            alone, ahead = bare(load, cores), bare(load, cores, ahead=True)
            ours = feed(deployment, load)
            ratios.append((ours / alone, ours / ahead))
            first, second = ratios[-1]
            cells = f"{ours:.1f} | {alone:.1f} | {first:.2f} | {ahead:.1f} | {second:.2f}"
            print(f"| {number} | {cells} |", flush=True)
    median = np.median(np.array(ratios), axis=0)
    print(f"\nmedian ratio {median[0]:.2f}; decoding ahead {median[1]:.2f}")


def scale(load: Load, counts: Sequence[int], rounds: int) -> None:
    """Measure with so many workers of each stage, one thread each, in turn; print the table."""
    print(f"\n| round | {' | '.join(f'{n} + {n} workers' for n in counts)} |")
    print(f"|--:{'|--:' * len(counts)}|")
    rates: list[list[float]] = []
    # With as many encoders as cores in the flow, each is told to use one thread.
    with deployed(load.flow(len(os.sched_getaffinity(0))), NO_CACHE) as deployment:
        for number in range(1, rounds + 1):
            rates.append([])
            for count in counts:
                deployment.scale(preprocess=count, encode=count)
                rates[-1].append(feed(deployment, load))
            print(f"| {number} | {' | '.join(f'{rate:.1f}' for rate in rates[-1])} |", flush=True)
    median = np.median(np.array(rates), axis=0)
    print(f"\nmedian, of the first: {', '.join(f'{rate / median[0]:.2f}' for rate in median)}")


if __name__ == "__main__":
    main()
