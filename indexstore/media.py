"""Images, sounds and films: kept once by their content's hash, in a folder or an object store."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from indexstore.derived import Previews, Scratch
from indexstore.errors import IndexStoreError
from indexstore.files import Files
from indexstore.incoming import PREFIX, Blob, Incoming
from indexstore.sniffing import SNIFFED_BYTES, sniff

_BLOB = re.compile(r"sha256:[0-9a-f]{64}")
_FRESH_S = 3600.0  # what was marked within so long is not marked again
_STAGED = ".incoming/"


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


class MediaStore:
    """Contents by their hash. The same content is stored once, whoever sends it.

    Attributes:
        previews: what is made from contents to be looked at; it goes when they go.
        scratch: what stages of a document hand on to each other.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._files = Files(url, "media")
        self.previews = Previews(url)
        self.scratch = Scratch(url)

    def put(self, data: bytes) -> Blob:
        """Store a content, durably; storing it again changes nothing.

        Raises:
            StorageFullError: there is no space for it. BlobsUnavailableError: the store is away.
        """
        with self.incoming() as incoming:
            incoming.write(data)
            return incoming.keep()

    def incoming(self) -> Incoming:
        """Return a content to be written piece by piece, and then kept."""
        return Incoming(self._files, self._admit)

    def describe(self, name: str) -> Blob:
        """Return what is known of a stored content.

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        head = self.get(name, 0, SNIFFED_BYTES)
        return Blob(name, self.size_bytes(name), sniff(head))

    def claim(self, name: str) -> Blob:
        """Describe a content that somebody is about to refer to, and keep it until then.

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        blob = self.describe(name)
        self._mark(name)
        return blob

    def get(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return a content, or its bytes from ``start`` to ``end`` (exclusive).

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        try:
            return self._files.read(_path(name), start, end)
        except FileNotFoundError as error:
            raise BlobNotFoundError(name) from error

    def open(self, name: str) -> BinaryIO:
        """Return a content as a file to read and seek in, of which little is held in memory.

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        try:
            return self._files.open(_path(name))
        except FileNotFoundError as error:
            raise BlobNotFoundError(name) from error

    def size_bytes(self, name: str) -> int:
        """Return the length of a content.

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        try:
            return self._files.size_bytes(_path(name))
        except FileNotFoundError as error:
            raise BlobNotFoundError(name) from error

    def local_path(self, name: str) -> Path | None:
        """Return where a content lies as a file on this machine; None in an object store.

        Raises:
            BlobNotFoundError: there is none of that name. BlobsUnavailableError: nobody can tell.
        """
        path = _path(name)
        if not self._files.is_local:
            return None
        if not self._files.exists(path):
            raise BlobNotFoundError(name)
        return self._files.local_path(path)

    def names(self) -> Iterator[tuple[str, float]]:
        """Yield every stored content and when it was last stored or wanted (epoch seconds)."""
        for path, when in self._files.find():
            name = PREFIX + path.rsplit("/", 1)[-1]
            if _BLOB.fullmatch(name):
                yield name, when

    def collect(self, referenced: Collection[str], *, older_than: float) -> int:
        """Delete what nothing refers to and nobody wanted since ``older_than``; return how many.

        The age keeps what an upload has stored and is about to refer to.
        """
        for path, when in list(self._files.find()):
            if path.startswith(_STAGED) and when < older_than:
                self._files.remove(path)  # of a process that died while it wrote
        dead = [name for name, when in self.names() if name not in referenced and when < older_than]
        return sum(self._collected(name, older_than) for name in dead)

    def _collected(self, name: str, older_than: float) -> bool:
        """Delete a content and its previews, unless somebody wanted it meanwhile."""
        try:
            if self._files.changed_at(_path(name)) >= older_than:
                return False
        except FileNotFoundError:
            return False
        self.previews.drop(digest_of(name))
        return self._files.remove(_path(name))

    def _admit(self, blob: Blob, staged: Path) -> None:
        """Put a written content in its place, unless it is there already."""
        if self._files.exists(_path(blob.name)):
            self._mark(blob.name)
        else:
            self._files.place(staged, _path(blob.name))

    def _mark(self, name: str) -> None:
        """Date a content as wanted now, so that it is not collected before it is referred to."""
        if time.time() - self._files.changed_at(_path(name)) > _FRESH_S:
            self._files.mark(_path(name))


def digest_of(name: str) -> str:
    """Return the hex digits of a blob's name; what is none is never a path.

    Raises:
        BlobNotFoundError: it is no name of a blob.
    """
    if not _BLOB.fullmatch(name):
        raise BlobNotFoundError(name)
    return name.removeprefix(PREFIX)


def _path(name: str) -> str:
    digest = digest_of(name)
    return f"{digest[:2]}/{digest}"
