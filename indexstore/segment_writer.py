"""Writes a segment's folder from log rows, a row at a time, with vectors straight to disk."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgpack
import numpy as np
from numpy.typing import NDArray

from indexstore.engines import create
from indexstore.engines.bm25 import Bm25Engine
from indexstore.engines.registry import text_engine
from indexstore.grow import Grow
from indexstore.ids import DocIds, encoded
from indexstore.kernel import CONTINUOUS
from indexstore.lists import FROM_ROWS, write_lists
from indexstore.model import IndexConfig, LogRow
from indexstore.part import Tags
from indexstore.runs import starts_of
from indexstore.scoring import finds_documents, run_sums
from indexstore.segment import (
    DROPPED,
    ENGINE,
    FORMAT,
    META,
    PATCHES,
    TEXT,
    UNITS,
    VECTORS,
    file_digest,
)
from indexstore.spans import Spans
from indexstore.tags import TagCollector
from indexstore.word_columns import WordCollector


class SegmentWriter:
    """Collects the documents of one segment; ``finish`` builds the engine and the meta data."""

    def __init__(self, folder: Path, config: IndexConfig, *, dim: int) -> None:
        self.folder, self.config, self.dim = folder, config, dim
        self.by_document = finds_documents(config)
        self._ordinals: dict[str, int] = {}
        self._tags = TagCollector()
        self._slots, self._versions = Grow(np.int16), Grow(np.int64)
        self._doc_weights, self._lengths = Grow(np.float32), Grow(np.int64)
        self._positions, self._weights = Grow(np.int32), Grow(np.float32)
        self._spans = Spans()
        self._dropped: list[str] = []
        self._patches: dict[str, tuple[int, float, Tags]] = {}
        self._text: Bm25Engine | None = None
        self._text_lengths = [0]
        self._words = WordCollector()
        if config.kind == "text":
            (folder / TEXT).mkdir()
            self._text = text_engine(config).grow(folder / TEXT)
        self._texts: BinaryIO = (folder / "texts.bin").open("wb")
        self._vectors: BinaryIO = (folder / VECTORS).open("wb")
        self._units: BinaryIO | None = None  # from the first document on that needs one
        self._rows = 0
        self._unit_file: str | None = VECTORS  # None: the engine keeps them

    @property
    def documents(self) -> int:
        """How many documents were added."""
        return len(self._slots)

    @property
    def rows(self) -> int:
        """How many chunks were added."""
        return self._rows

    @property
    def is_empty(self) -> bool:
        """Tell whether the segment would change nothing."""
        return not (self.documents or self._dropped or self._patches)

    def add(self, row: LogRow, vectors: NDArray[np.float32]) -> None:
        """Add a document whose vectors are checked by now."""
        if row.chunks is None:  # pragma: no cover - only upserts are added
            return
        n = len(vectors)
        self._ordinals[row.doc_id] = self.documents
        self._slots.extend(row.slot, 1)
        self._versions.extend(row.version, 1)
        self._doc_weights.extend(row.weight, 1)
        self._tags.add(row.tags)
        self._lengths.extend(n, 1)
        self._positions.extend(row.chunks.positions, n)
        self._weights.extend(row.chunks.weights, n)
        self._spans.extend(row.chunks.spans, n)
        self._patches.pop(row.doc_id, None)
        self._add_text(row.chunks.texts or ())
        self._add_unit(vectors, row.chunks.weights)
        self._vectors.write(np.ascontiguousarray(vectors, np.float32).data)
        self._rows += n

    def _add_text(self, texts: Sequence[str]) -> None:
        if self._text is None:
            return
        self._text.add("\n".join(texts))
        self._words.add([self._text.analysed(text) for text in texts])
        for text in texts:
            self._text_lengths.append(self._texts.write(encoded(text)))

    def _add_unit(self, vectors: NDArray[np.float32], weights: NDArray[np.float32]) -> None:
        if not self.by_document or self._text is not None:
            return
        if self._units is None:
            if len(vectors) == 1 and weights[0] == 1.0:
                return
            # Every document so far was one chunk of weight 1: its own unit.
            self._vectors.flush()
            self._units = (self.folder / UNITS).open("wb")
            self._unit_file = UNITS
            with (self.folder / VECTORS).open("rb") as written:
                while block := written.read(1 << 24):
                    self._units.write(block)
        self._units.write(run_sums(vectors, np.zeros(1, np.int64), weights).data)

    def patch(self, row: LogRow) -> None:
        """Replace version, weight and tags: here if the document is here, else further back."""
        ordinal = self._ordinals.get(row.doc_id)
        if ordinal is None:
            self._patches[row.doc_id] = (row.version, row.weight, row.tags)
            return
        self._versions.view()[ordinal] = row.version
        self._doc_weights.view()[ordinal] = row.weight
        self._tags.replace(ordinal, row.tags)

    def drop(self, doc_id: str) -> None:
        """Hide a document that an older segment may hold."""
        self._patches.pop(doc_id, None)
        self._dropped.append(doc_id)

    def finish(self) -> str:
        """Write the rest, build the engine, and return the checksum that the manifest keeps."""
        self._vectors.close()
        self._texts.close()
        if self._units is not None:
            self._units.close()
        self._write_columns()
        if self._text is None:
            (self.folder / "texts.bin").unlink()
            self._build_engine()
        else:
            (self.folder / VECTORS).unlink()
            self._text.finish()
            self._words.words().write(self.folder, self._words.counted().table())
            np.save(self.folder / "text_starts.npy", np.cumsum(self._text_lengths))
        return self._write_meta()

    def _write_columns(self) -> None:
        folder = self.folder
        self._tags.index().write(folder)
        DocIds.of(list(self._ordinals)).write(folder)
        DocIds.of(self._dropped).write(folder, DROPPED)
        columns: Mapping[str, NDArray[Any]] = {
            "slots": self._slots.view(),
            "versions": self._versions.view(),
            "doc_weights": self._doc_weights.view(),
            "starts": starts_of(self._lengths.view()),
            "positions": self._positions.view(),
            "weights": self._weights.view(),
            "spans": self._spans.view(),
        }
        for name, column in columns.items():
            np.save(folder / f"{name}.npy", column)
        patches = [(doc_id, *patch) for doc_id, patch in self._patches.items()]
        (folder / PATCHES).write_bytes(msgpack.packb(patches))

    def _build_engine(self) -> None:
        if not self.documents:
            return
        source = self.folder / (self._unit_file or VECTORS)
        rows = np.memmap(source, np.float32, "r").reshape(-1, self.dim).view(np.ndarray)
        engine = create(self.config, dim=self.dim)
        engine.build(rows, self.folder / ENGINE)
        engine.open(self.folder / ENGINE)
        if len(rows) >= FROM_ROWS and self.config.metric in CONTINUOUS and not engine.is_exact:
            write_lists(rows, self.config.metric, self.folder)
        if engine.vectors is not None:  # no need to keep them twice
            source.unlink()
            self._unit_file = None
        engine.close()

    def _write_meta(self) -> str:
        names = sorted(p.relative_to(self.folder).as_posix() for p in self.folder.rglob("*") if
                       p.is_file())  # fmt: skip
        meta = {
            "format": FORMAT,
            "dim": self.dim,
            "metric": self.config.metric,
            "engine": self.config.engine,
            "language": self.config.options.get("language"),
            "by_document": self.by_document,
            "documents": self.documents,
            "rows": self.rows,
            "units": self.documents if self.by_document else self.rows,
            "vectors": (self.folder / VECTORS).exists(),
            "unit_file": self._unit_file,
            "files": {name: file_digest(self.folder / name) for name in names},
        }
        raw = json.dumps(meta, indent=1).encode()
        (self.folder / META).write_bytes(raw)
        return hashlib.sha256(raw).hexdigest()
