"""Films and sounds that the tests make themselves."""

import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.workers.pictures import drawn

RATE = 10  # frames a second of films made here


def film(
    scenes: Sequence[int],
    *,
    length: int = 20,
    codec: str = "mpeg4",
    container: str = "",
    picture: Any = drawn,
) -> bytes:
    """Return a film: for each seed a still scene of so many frames."""
    file = io.BytesIO()
    kind = container or ("mp4" if codec != "ffv1" else "matroska")
    with av.open(file, "w", format=kind) as made:
        stream: Any = made.add_stream(codec, rate=RATE if codec != "mpeg2video" else 25)
        stream.width, stream.height = 96, 64
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 2_000_000
        for seed in scenes:
            frame = av.VideoFrame.from_ndarray(picture(96, 64, seed=seed), format="rgb24")
            for _ in range(length):
                frame.pts = None
                made.mux(stream.encode(frame))
        made.mux(stream.encode())
    return file.getvalue()


def tone(hertz: float, seconds: float, *, rate: int = 16_000) -> NDArray[np.float32]:
    """Return a pure tone."""
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hertz * time)).astype(np.float32)


def sound(
    samples: NDArray[np.float32], *, rate: int = 16_000, codec: str = "flac", kind: str = "flac"
) -> bytes:
    """Return samples as a file of a kind of container, in a lossless codec."""
    file = io.BytesIO()
    with av.open(file, "w", format=kind) as container:
        stream: Any = container.add_stream(codec, rate=rate, layout="mono")
        whole = np.round(samples * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
