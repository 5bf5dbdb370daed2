"""Is a film of an hour indexed in bounded memory, and do queries go on meanwhile?

A film of synthetic scenes, 1280 x 720 at 24 frames a second, H.264, is made, uploaded as it streams
and indexed by the flow any-to-any, after a short one. Printed are the peak memory of every process
after each, and how long queries took while the long one was worked on::

    python -m benchmarks.long_film --minutes 60
"""

from __future__ import annotations

import argparse
import io
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import av
import numpy as np

from app.client import Client
from benchmarks.deployment import REPOSITORY, Deployment, deployed, end_on_terminate

WIDTH, HEIGHT, RATE = 1280, 720, 24
STRETCH_S, SCENE_S = 30, 5
SHORT_MINUTES = 2
_LOOK_S = 0.25
_FRAMES = """
name: any-to-any
services:
  - {name: Preprocessor, text: WholeText, image: WholeImage,
     video: {uses: VideoFrames, with: {frame_rate: 1, weights: ones, duplicate_rm: false}}}
  - {name: Encoder, text: ConSEText, image: ConSE, video: ConSE}
  - {name: Indexer, uses: hnsw}
score: {reduce: max}
"""


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--frames", action="store_true", help="a frame a second instead of shots")
    given = parser.parse_args()
    end_on_terminate()
    flow = _FRAMES if given.frames else (REPOSITORY / "flows" / "any-to-any.yml").read_text()
    with tempfile.TemporaryDirectory(prefix="gnes-film-") as folder, deployed(flow) as it:
        measure(it, Path(folder), given.minutes)


def measure(it: Deployment, folder: Path, minutes: int) -> None:
    """Index a short film and a long one, and print what both took."""
    short, long = folder / "short.mp4", folder / "long.mp4"
    write_film(short, SHORT_MINUTES)
    write_film(long, minutes)
    print(f"long film: {minutes} min, {long.stat().st_size / 1e6:.0f} MB")
    index(it, "short", short)
    before = peaks(it)
    took_s, waits = index(it, "long", long)
    after = peaks(it)
    hit = it.search({"query": {"text": "a pattern"}, "limit": 1, "group_size": 1})["hits"][0]
    times = minutes * 60 / took_s
    print(f"indexed in {took_s:.0f} s, {times:.0f} times real time; first hit {hit['id']}")
    print(f"queries meanwhile: {len(waits)}, median {1e3 * statistics.median(waits):.0f} ms, "
          f"longest {1e3 * max(waits):.0f} ms\n")  # fmt: skip
    print("| process | peak after the short film, MB | after the long one, MB |\n|---|--:|--:|")
    for name, peak in after.items():
        print(f"| {name} | {before[name]:.0f} | {peak:.0f} |")


def index(it: Deployment, doc_id: str, path: Path) -> tuple[float, list[float]]:
    """Upload a film, have it indexed, ask meanwhile; return seconds, and of each query."""
    with Client(it.url) as api:
        blob = api.upload(path)["blob"]
    started = time.monotonic()
    job = it.write([{"id": doc_id, "video": {"blob": blob}}])
    waits: list[float] = []
    while (state := it.call("GET", f"/v1/jobs/{job}"))["state"] in {"pending", "running"}:
        asked = time.monotonic()
        it.search({"query": {"text": "a pattern"}, "limit": 1})
        waits.append(time.monotonic() - asked)
        time.sleep(_LOOK_S)
    assert state["state"] == "completed", state
    return time.monotonic() - started, waits


def peaks(it: Deployment) -> dict[str, float]:
    """Return the peak memory of every process so far, in MB."""
    return {str(one["name"]): peak_mb(int(one["pid"])) for one in it.processes() if one["pid"]}


def peak_mb(pid: int) -> float:
    """Return the most memory that a process has ever held, in MB; files it maps count."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(pid)


def write_film(path: Path, minutes: int) -> None:
    """Write a film of so many minutes: its first stretch is encoded, the others are copies."""
    stretch = io.BytesIO(_stretch())
    with av.open(str(path), "w") as container:
        stream: Any = None
        for number in range(minutes * 60 // STRETCH_S):
            stretch.seek(0)
            with av.open(stretch, "r") as source:
                if stream is None:
                    stream = container.add_stream_from_template(source.streams.video[0])
                for packet in source.demux(video=0):
                    if packet.dts is None or packet.pts is None:
                        continue
                    later = round(number * STRETCH_S / packet.time_base)
                    packet.pts, packet.dts = packet.pts + later, packet.dts + later
                    packet.stream = stream
                    container.mux(packet)


def _stretch() -> bytes:
    """Return a film of moving patterns, a scene every few seconds."""
    made = io.BytesIO()
    with av.open(made, "w", format="mp4") as container:
        options = {"preset": "ultrafast", "crf": "26"}
        stream: Any = container.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(STRETCH_S * RATE):
            frame = av.VideoFrame.from_ndarray(_picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return made.getvalue()


def _picture(number: int) -> Any:
    """Return frame ``number``: waves in the colours of its scene, that move."""
    scene = number // (SCENE_S * RATE)
    rng = np.random.default_rng(scene)
    dark, light = rng.integers(0, 110, 3), rng.integers(130, 255, 3)
    across, down = rng.uniform(2, 30, 2)
    y, x = np.mgrid[0 : HEIGHT // 4, 0 : WIDTH // 4]
    wave = np.sin(x * across / 100 + number / 9) + np.sin(y * down / 60 - number / 13) > 0
    small = np.where(wave[..., None], light, dark).astype(np.uint8)
    return np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)


if __name__ == "__main__":
    main()
