"""Images, sounds and films: kept once by their content's hash, in a folder or an object store."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import filetype

from indexstore.errors import IndexStoreError
from indexstore.filesystems import changed_at, filesystem, reaching, sync

PREFIX = "sha256:"
_BLOB = re.compile(r"sha256:[0-9a-f]{64}")
_SNIFFED_BYTES = 8192  # enough for every signature that filetype knows
_MODALITIES = ("image", "video", "audio")
_FRESH_S = 3_600.0  # what was stored in the last hour nobody collects, so it need not be touched


class BlobNotFoundError(IndexStoreError):
    """No blob has that name."""

    status = 404
    code = "blob_not_found"

    def __init__(self, blob: str) -> None:
        super().__init__(blob)
        self.blob = blob

    def __str__(self) -> str:
        return (
            f"there is no blob {self.blob!r}; upload the content first, or send it as base64 or url"
        )


@dataclass(frozen=True, slots=True)
class Blob:
    """What is known of a stored medium without opening it."""

    name: str  # "sha256:" and 64 hex digits
    size_bytes: int
    media_type: str  # sniffed from the content, never believed from a header
    modality: str | None  # image, video, audio; None for anything else

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Describe a content."""
        media_type = sniff(data)
        kind = media_type.split("/", 1)[0]
        modality = kind if kind in _MODALITIES else None
        return cls(PREFIX + hashlib.sha256(data).hexdigest(), len(data), media_type, modality)


def sniff(data: bytes) -> str:
    """Return the media type that the first bytes of a content show."""
    found = filetype.guess_mime(data[:_SNIFFED_BYTES])
    return str(found or "application/octet-stream")


class MediaStore:
    """Contents by their hash. The same content is stored once, whoever sends it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs: Any
        self._fs, root = filesystem(url)
        self._root = f"{root.rstrip('/')}/media"
        self._is_local = "file" in self._fs.protocol or "local" in self._fs.protocol

    def put(self, data: bytes) -> Blob:
        """Store a content, durably; storing it again only makes it young again.

        Raises:
            StorageFullError: there is no space for it. BlobsUnavailableError: the store is away.
        """
        blob = Blob.of(data)
        path = self._path(blob.name)
        with reaching(self.url):
            if self._is_local:
                self._put_here(Path(path), data)
            elif not self._is_fresh(path):
                self._fs.pipe_file(path, data)
        return blob

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return a content, or its bytes from ``start`` to ``end`` (exclusive).

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        try:
            with reaching(self.url):
                data: bytes = self._fs.cat_file(self._path(name), start=start, end=end)
        except FileNotFoundError as error:
            raise BlobNotFoundError(name) from error
        return data

    def size_bytes(self, name: str) -> int:
        """Return the length of a content.

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        try:
            with reaching(self.url):
                return int(self._fs.size(self._path(name)))
        except FileNotFoundError as error:
            raise BlobNotFoundError(name) from error

    def local_path(self, name: str) -> Path | None:
        """Return where a content lies as a file on this machine; None in an object store.

        Raises:
            BlobNotFoundError: there is none of that name.
        """
        path = self._path(name)
        if not self._is_local:
            return None
        if not self._fs.exists(path):
            raise BlobNotFoundError(name)
        return Path(path)

    def names(self) -> Iterator[tuple[str, float]]:
        """Yield every stored content and when it was stored (seconds since the epoch)."""
        with reaching(self.url):
            found = self._fs.find(self._root, detail=True)
        for path, info in found.items():
            digest = path.rsplit("/", 1)[-1]
            if _BLOB.fullmatch(PREFIX + digest):
                yield PREFIX + digest, changed_at(info)

    def collect(self, referenced: Collection[str], *, older_than: float) -> int:
        """Delete what nothing refers to and what was stored before ``older_than``; return how many.

        The age keeps what an upload has stored and is about to refer to. It is asked again just
        before, because storing a content that is there already makes it young.
        """
        old = [name for name, when in self.names() if name not in referenced and when < older_than]
        return sum(self._delete(self._path(name), older_than) for name in old)

    def _delete(self, path: str, older_than: float) -> bool:
        with reaching(self.url):
            try:
                if changed_at(self._fs.info(path)) >= older_than:
                    return False
                self._fs.rm_file(path)
            except FileNotFoundError:  # another collector was faster
                return False
        return True

    def _is_fresh(self, path: str) -> bool:
        try:
            return changed_at(self._fs.info(path)) > time.time() - _FRESH_S
        except FileNotFoundError:
            return False

    def _path(self, name: str) -> str:
        if not _BLOB.fullmatch(name):
            raise BlobNotFoundError(name)
        digest = name.removeprefix(PREFIX)
        return f"{self._root}/{digest[:2]}/{digest}"

    def _put_here(self, target: Path, data: bytes) -> None:
        try:
            os.utime(target)
        except FileNotFoundError:
            self._write(target, data)

    def _write(self, target: Path, data: bytes) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_name(f"{target.name}.{uuid4().hex}")
        try:
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.rename(target)
        finally:
            beside.unlink(missing_ok=True)
        for folder in (target.parent, target.parent.parent):  # the second is perhaps new as well
            sync(folder)
