"""Where documents come from: files, folders, standard input, in the formats people have."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from app.cli.common import UsageFaultError
from app.local_files import MODALITY, LocalFile, modality_of

Document = dict[str, Any]

TEXTS = (".md", ".rst", ".html", ".htm")
LISTS = (".txt", ".json", ".ndjson", ".jsonl")
READABLE = frozenset((*TEXTS, *LISTS, *MODALITY))


def documents_of(path: Path) -> Iterator[Document]:
    """Yield the documents of a file, or of all files we can read in a folder, in name order.

    Raises: UsageFaultError: there is no such path, or a line is not what its file promises.
    """
    if path.is_dir():
        for inner in sorted(p for p in path.rglob("*") if p.is_file() and _is_readable(p)):
            yield from _of_file(inner, str(inner.relative_to(path)))
    elif path.is_file():
        if not _is_readable(path):
            known = ", ".join(sorted(READABLE))
            raise UsageFaultError(f"{path}: no known kind of file; known are {known}")
        yield from _of_file(path, path.name)
    else:
        raise UsageFaultError(f"{path}: there is no such file or folder")


def documents_in(stream: BinaryIO) -> Iterator[Document]:
    """Yield the documents of a stream: one a line, JSON where the line is an object, else text."""
    for number, line in enumerate(stream, 1):
        text = _decoded(line, "standard input", number).strip()
        if text.startswith("{"):
            yield _object(text, "standard input", number)
        elif text:
            yield {"text": text}


def _is_readable(path: Path) -> bool:
    return path.suffix.lower() in READABLE and not path.name.startswith(".")


def _of_file(path: Path, name: str) -> Iterator[Document]:
    suffix = path.suffix.lower()
    if kind := modality_of(path):
        yield {"id": name, kind: LocalFile(path), "tags": {"path": name}}
    elif suffix in TEXTS:
        text = path.read_text(encoding="utf-8", errors="replace")
        if text.strip():
            yield {"id": name, "text": text, "tags": {"path": name}}
    elif suffix == ".json":
        yield from _of_json(path)
    else:
        yield from _of_lines(path, name, are_objects=suffix != ".txt")


def _of_json(path: Path) -> Iterator[Document]:
    try:
        value = json.loads(path.read_bytes())
    except ValueError as error:
        raise UsageFaultError(f"{path}: not valid JSON: {error}") from error
    for number, entry in enumerate(value if isinstance(value, list) else [value], 1):
        if isinstance(entry, str):
            yield {"text": entry}
        elif isinstance(entry, dict):
            yield entry
        else:
            raise UsageFaultError(f"{path}: entry {number} is neither a document nor a text")


def _of_lines(path: Path, name: str, *, are_objects: bool) -> Iterator[Document]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            text = _decoded(line, str(path), number).strip()
            if text and are_objects:
                yield _object(text, str(path), number)
            elif text:
                yield {"id": f"{name}:{number}", "text": text, "tags": {"path": name}}


def _decoded(line: bytes, source: str, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageFaultError(f"{source}:{number}: not UTF-8 text: {error}") from error


def _object(text: str, source: str, number: int) -> Document:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UsageFaultError(f"{source}:{number}: not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise UsageFaultError(f"{source}:{number}: a document is a JSON object, like {_EXAMPLE}")
    return value


_EXAMPLE = '{"id": "a1", "text": "..."}'
