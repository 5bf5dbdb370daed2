"""Document ids by the million: text in one buffer, found by hash, no Python object a row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.runs import rows_of

Ordinals = NDArray[np.int64]


def id_hashes(doc_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return 64 bits of each id, the same on every machine."""
    digests = b"".join(blake2b(encoded(i), digest_size=8).digest() for i in doc_ids)
    return np.frombuffer(digests, "<u8")


def encoded(doc_id: str) -> bytes:
    """Return an id's bytes; any string that JSON can carry has some."""
    return doc_id.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True, eq=False)
class DocIds:
    """The ids of a segment's documents, by ordinal and by name."""

    data: memoryview
    offsets: NDArray[np.int64]  # (m + 1,)
    hashes: NDArray[np.uint64]  # (m,) ascending
    order: Ordinals  # (m,) the ordinal of each hash

    def __len__(self) -> int:
        return len(self.hashes)

    @classmethod
    def of(cls, doc_ids: Sequence[str]) -> Self:
        """Lay out ids in their order."""
        parts = [encoded(doc_id) for doc_id in doc_ids]
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(part) for part in parts], out=offsets[1:])
        hashes = id_hashes(doc_ids)
        order = np.argsort(hashes, kind="stable")
        return cls(memoryview(b"".join(parts)), offsets, hashes[order], order)

    def at(self, ordinals: Ordinals) -> list[str]:
        """Return the ids at these ordinals."""
        if not len(ordinals):
            return []
        places, begins = rows_of(self.offsets, ordinals)
        ids = np.frombuffer(self.data, np.uint8)[places].tobytes()
        bounds = zip(begins.tolist(), [*begins[1:].tolist(), len(ids)], strict=True)
        if ids.isascii():  # bytes are characters: decoded once, cut afterwards
            text = ids.decode("ascii")
            return [text[begin:end] for begin, end in bounds]
        return [str(ids[begin:end], "utf-8", "surrogatepass") for begin, end in bounds]

    def find(self, doc_ids: Sequence[str]) -> Ordinals:
        """Return the ordinal of each id, -1 where it is not here."""
        found = np.full(len(doc_ids), -1, np.int64)
        if not len(self) or not doc_ids:
            return found
        wanted = id_hashes(doc_ids)
        left = np.searchsorted(self.hashes, wanted, "left")
        right = np.searchsorted(self.hashes, wanted, "right")
        for i in np.flatnonzero(right > left).tolist():
            # Two ids may share a hash; that the bytes are equal is what decides.
            for ordinal in self.order[left[i] : right[i]].tolist():
                if self.data[self.offsets[ordinal] : self.offsets[ordinal + 1]] == encoded(
                    doc_ids[i]
                ):
                    found[i] = ordinal
        return found

    def shared_with(self, newer: "DocIds") -> Ordinals:
        """Return the ordinals of the ids that the other has too."""
        small, large = (self, newer) if len(self) <= len(newer) else (newer, self)
        if not len(small):
            return np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(large.hashes, small.hashes), len(large) - 1)
        candidates = small.at(small.order[large.hashes[at] == small.hashes])
        ordinals = self.find(candidates)
        return np.asarray(ordinals[(ordinals >= 0) & (newer.find(candidates) >= 0)])

    def write(self, folder: Path, prefix: str = "id") -> None:
        """Write the columns into a segment's folder."""
        (folder / f"{prefix}s.bin").write_bytes(self.data)
        np.save(folder / f"{prefix}_offsets.npy", self.offsets)
        np.save(folder / f"{prefix}_hashes.npy", self.hashes)
        np.save(folder / f"{prefix}_order.npy", self.order)

    @classmethod
    def map(cls, folder: Path, prefix: str = "id") -> Self:
        """Map the columns of a segment's folder."""
        return cls(
            mapped_bytes(folder / f"{prefix}s.bin"),
            mapped(folder / f"{prefix}_offsets.npy"),
            mapped(folder / f"{prefix}_hashes.npy"),
            mapped(folder / f"{prefix}_order.npy"),
        )


def mapped_bytes(path: Path) -> memoryview:
    """Map a file's bytes for reading."""
    if not path.stat().st_size:
        return memoryview(b"")
    return memoryview(np.memmap(path, np.uint8, "r").data)


def mapped(path: Path) -> NDArray[Any]:
    """Map a .npy file for reading, as a plain array: numpy's memmap class costs on every use."""
    column: NDArray[Any] = np.load(path, mmap_mode="r").view(np.ndarray)
    return column
