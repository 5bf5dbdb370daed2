"""A segment: an immutable folder of mapped columns and one engine, opened only when whole.

``meta.json`` holds the SHA-256 of every other file, the manifest's row that of ``meta.json``.
Deletes and patches of documents that only older segments hold travel in the segment too, so that
a reader needs no log row at or below the segment's last sequence number.
"""

import hashlib
import json
import mmap
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from indexstore.engines import Engine, create
from indexstore.engines.bm25 import TextSearcher
from indexstore.engines.registry import text_engine
from indexstore.errors import CorruptSegmentError, IndexStoreError
from indexstore.ids import DocIds, mapped, mapped_bytes
from indexstore.lists import Lists
from indexstore.model import IndexConfig, SegmentInfo
from indexstore.part import Columns, Part, Tags
from indexstore.tag_columns import Texts
from indexstore.tags import TagIndex
from indexstore.word_columns import Words
from indexstore.words import NO_WORDS

FORMAT = 1
META = "meta.json"
ENGINE = "engine.bin"
TEXT = "text"  # the folder of a full-text engine
VECTORS = "vectors.f32"  # of chunks; absent where the engine keeps them as they are
UNITS = "units.f32"  # of documents; absent where they are the chunks', or in the engine
PATCHES = "patches.msgpack"
DROPPED = "dropped"  # prefix of the ids that older segments must not show

Patch = tuple[int, float, Tags]  # version, weight, tags


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """An opened segment: its part as it was built, and what it does to older segments."""

    info: SegmentInfo
    part: Part
    ids: DocIds
    dropped: DocIds
    patches: Mapping[str, Patch]


def open_segment(info: SegmentInfo, folder: Path, config: IndexConfig, slots: range) -> Segment:
    """Check every byte of a segment and map it; documents outside ``slots`` are dead in it.

    Raises:
        CorruptSegmentError: a file is missing, torn or altered, or the segment is not the
            manifest's.
    """
    meta = verified_meta(info, folder)
    try:
        return _opened(info, folder, config, (meta, slots))
    except CorruptSegmentError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, IndexStoreError) as error:
        raise CorruptSegmentError(info.id, f"it cannot be opened ({error})") from error


def verified_meta(info: SegmentInfo, folder: Path) -> dict[str, Any]:
    """Return a segment's meta data once every file has proved to be what was written."""
    try:
        raw = (folder / META).read_bytes()
    except OSError as error:
        raise CorruptSegmentError(info.id, f"{META} is missing ({error})") from error
    if hashlib.sha256(raw).hexdigest() != info.checksum:
        raise CorruptSegmentError(info.id, f"{META} is not what the manifest says")
    meta: dict[str, Any] = json.loads(raw)
    if meta["format"] != FORMAT:
        reason = f"its format is {meta['format']}, this version reads {FORMAT}"
        raise CorruptSegmentError(info.id, reason)
    files: dict[str, str] = meta["files"]
    # Hashing releases the interpreter lock, and two large files keep two cores busy.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, digest in zip(
            files, pool.map(lambda name: _digest(folder / name), files), strict=True
        ):
            if digest != files[name]:
                raise CorruptSegmentError(info.id, f"file {name} is torn, altered or missing")
    return meta


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str | None:
    try:
        return file_digest(path)
    except OSError:
        return None


def _opened(
    info: SegmentInfo, folder: Path, config: IndexConfig, rest: tuple[dict[str, Any], range]
) -> Segment:
    meta, slots = rest
    dim, rows, documents = meta["dim"], meta["rows"], meta["documents"]
    _require_same(info, meta, config)
    if config.kind == "text":
        return _segment(info, folder, config, (meta, slots, *_text_parts(folder, meta, config)))
    engine = _engine(folder, config, dim=dim) if documents else None
    kept = None if engine is None else engine.vectors
    vectors = _matrix(folder / VECTORS, rows, dim) if meta["vectors"] else kept
    units = kept
    if meta["unit_file"]:
        own = meta["unit_file"] == UNITS
        units = _matrix(folder / UNITS, meta["units"], dim) if own else vectors
    if units is None or vectors is None:
        raise CorruptSegmentError(info.id, "it has no vectors")
    return _segment(info, folder, config, (meta, slots, (vectors, None), (units, engine, None)))


_Vectors = tuple[NDArray[np.float32], Texts | None]  # of chunks, and their texts
_Found = tuple[NDArray[np.float32], Engine | None, TextSearcher | None]  # units and their finder


def _text_parts(
    folder: Path, meta: Mapping[str, Any], config: IndexConfig
) -> tuple[_Vectors, _Found]:
    """Open a full-text index and the texts of its chunks; it has vectors of no width."""
    documents = meta["documents"]
    searcher = text_engine(config).open(folder / TEXT, documents) if documents else None
    texts = Texts(mapped_bytes(folder / "texts.bin"), mapped(folder / "text_starts.npy"))
    nothing = np.empty((documents, 0), np.float32)
    return (np.empty((meta["rows"], 0), np.float32), texts), (nothing, None, searcher)


def _segment(
    info: SegmentInfo,
    folder: Path,
    config: IndexConfig,
    rest: tuple[Mapping[str, Any], range, _Vectors, _Found],
) -> Segment:
    meta, slots, (vectors, texts), (units, engine, searcher) = rest
    ids = DocIds.map(folder)
    columns = _columns(folder, ids, vectors, texts)
    is_text = config.kind == "text"
    words, counted = Words.map(folder, columns.starts) if is_text else (None, NO_WORDS)
    weights = mapped(folder / "doc_weights.npy")
    live = (columns.slots >= slots.start) & (columns.slots < slots.stop)
    part = Part(
        name=info.id,
        columns=columns,
        metric=config.metric,
        by_document=meta["by_document"],
        units=units,
        engine=engine,
        versions=mapped(folder / "versions.npy"),
        weights=weights,
        live=live,
        live_count=int(np.count_nonzero(live)),
        is_uniform=bool((weights == 1.0).all()),
        tags=TagIndex.map(folder),
        text=searcher,
        lists=Lists.map(folder),
        words=words,
        counted=counted,
    )
    patches = msgpack.unpackb((folder / PATCHES).read_bytes(), strict_map_key=False)
    return Segment(
        info=info,
        part=part,
        ids=ids,
        dropped=DocIds.map(folder, DROPPED),
        patches={doc_id: (version, weight, tags) for doc_id, version, weight, tags in patches},
    )


def _require_same(info: SegmentInfo, meta: Mapping[str, Any], config: IndexConfig) -> None:
    """Refuse what another flow built: the log can always be built into what this one wants."""
    language = config.options.get("language")
    wanted = {"engine": config.engine, "metric": config.metric, "language": language}
    for key, value in wanted.items():
        if meta[key] != value:
            raise CorruptSegmentError(info.id, f"it was built for {key} {meta[key]!r}")


def _engine(folder: Path, config: IndexConfig, *, dim: int) -> Engine:
    engine = create(config, dim=dim)
    engine.open(folder / ENGINE)
    return engine


def _columns(
    folder: Path, ids: DocIds, vectors: NDArray[np.float32], texts: Texts | None
) -> Columns:
    return Columns(
        ids,
        mapped(folder / "slots.npy"),
        mapped(folder / "starts.npy"),
        mapped(folder / "positions.npy"),
        mapped(folder / "weights.npy"),
        mapped(folder / "spans.npy"),
        vectors,
        texts,
    )


def _matrix(path: Path, rows: int, dim: int) -> NDArray[np.float32]:
    """Map a file of raw float32 rows."""
    if not rows:
        return np.empty((0, dim), np.float32)
    with path.open("rb") as file:
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(view, np.float32).reshape(rows, dim)
