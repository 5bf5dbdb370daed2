"""A content on its way into the store: hashed while it is written, however long it is."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol, Self

from indexstore.files import Files
from indexstore.filesystems import reaching
from indexstore.sniffing import SNIFFED_BYTES, modalities_of, sniff

PREFIX = "sha256:"
_COPIED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a stored content without opening it."""

    name: str  # "sha256:" and 64 hex digits
    size_bytes: int
    media_type: str  # sniffed from the content, never believed from a header

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Describe a content."""
        return cls(PREFIX + hashlib.sha256(data).hexdigest(), len(data), sniff(data))

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return what it may be taken as, its usual modality first; nothing for no medium."""
        return modalities_of(self.media_type)

    @property
    def modality(self) -> str | None:
        """Return what it usually is: image, video or audio; None for anything else."""
        return self.modalities[0] if self.modalities else None


class Readable(Protocol):
    """A file as far as it is copied."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to ``size`` bytes."""
        ...


class Incoming:
    """A content that is being written; a context manager that leaves nothing unless it is kept.

    Args:
        files: where it is written, and will lie.
        admit: puts the finished file in its place.
    """

    def __init__(self, files: Files, admit: Callable[[Blob, Path], None]) -> None:
        self._url, self._admit = files.url, admit
        self._hash = hashlib.sha256()
        self._head = b""
        self.size_bytes = 0
        self._path: Path
        self._file: IO[bytes]
        self._path, self._file = files.stage()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def media_type(self) -> str:
        """Return what the first bytes show so far."""
        return sniff(self._head)

    @property
    def is_sniffable(self) -> bool:
        """Tell whether enough was written to know the type."""
        return len(self._head) >= SNIFFED_BYTES

    def write(self, data: bytes) -> int:
        """Add a piece; return its length.

        Raises:
            StorageFullError: there is no space for it.
        """
        with reaching(self._url):
            self._file.write(data)
        self._hash.update(data)
        self.size_bytes += len(data)
        if not self.is_sniffable:
            self._head += data[: SNIFFED_BYTES - len(self._head)]
        return len(data)

    def copy(self, file: Readable) -> None:
        """Add all that is left in a file."""
        shutil.copyfileobj(file, self, _COPIED_BYTES)

    def keep(self) -> Blob:
        """Make the content durable and put it in its place; return it.

        Raises:
            StorageFullError: there is no space for it.
        """
        with reaching(self._url):
            self._file.flush()
            os.fsync(self._file.fileno())
        blob = Blob(PREFIX + self._hash.hexdigest(), self.size_bytes, self.media_type)
        self._admit(blob, self._path)
        return blob
