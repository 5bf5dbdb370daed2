"""Files of one kind under one folder of any file system that fsspec knows."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO
from uuid import uuid4

import fsspec

from indexstore.errors import StorageFullError

#: Bytes of a remote file that are read at a time, and how many such parts are kept.
_BLOCK_BYTES, _BLOCKS = 1 << 21, 8
_STAGING = ".incoming"


class Files:
    """Files by their path under a folder; what is not there raises FileNotFoundError."""

    def __init__(self, url: str, part: str) -> None:
        self.url = url
        self._fs: Any
        self._fs, base = fsspec.core.url_to_fs(url)
        self._root = f"{str(base).rstrip('/')}/{part}"
        self.is_local = "file" in self._fs.protocol or "local" in self._fs.protocol

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """Return a file's bytes from ``start`` to ``end`` (exclusive)."""
        data: bytes = self._fs.cat_file(self._at(path), start=start, end=end)
        return data

    def open(self, path: str) -> BinaryIO:
        """Return a file to read and seek in, of which little is held in memory."""
        kept = {"cache_type": "blockcache", "cache_options": {"maxblocks": _BLOCKS}}
        options: dict[str, Any] = {} if self.is_local else {"block_size": _BLOCK_BYTES, **kept}
        file: BinaryIO = self._fs.open(self._at(path), "rb", **options)
        return file

    def write(self, path: str, data: bytes) -> None:
        """Write a file that can be made again: whole or not at all, but not synced."""
        with storing(self.url):
            if not self.is_local:
                self._fs.pipe_file(self._at(path), data)
                return
            target = Path(self._at(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.{uuid4().hex}")
            try:
                beside.write_bytes(data)
                beside.rename(target)
            finally:
                beside.unlink(missing_ok=True)

    def stage(self) -> tuple[Path, IO[bytes]]:
        """Return a new file of this machine to write into, and to be placed or removed later."""
        folder = Path(self._at(_STAGING)) if self.is_local else Path(tempfile.gettempdir())
        with storing(self.url):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"gnes-{uuid4().hex}"
            return path, path.open("xb")

    def place(self, staged: Path, path: str) -> None:
        """Put a staged file, synced by its writer, durably in its place."""
        with storing(self.url):
            if not self.is_local:
                self._fs.put_file(str(staged), self._at(path))
                return
            target = Path(self._at(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(target)
            _sync(target.parent)

    def size_bytes(self, path: str) -> int:
        """Return the length of a file."""
        return int(self._fs.size(self._at(path)))

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file."""
        return bool(self._fs.exists(self._at(path)))

    def count(self, folder: str) -> int:
        """Return how many files a folder holds."""
        return len(self._fs.ls(self._at(folder), detail=False)) if self.exists(folder) else 0

    def changed_at(self, path: str) -> float:
        """Return when a file was last written or marked (epoch seconds)."""
        return _changed_at(self._fs.info(self._at(path)))

    def mark(self, path: str) -> None:
        """Date a file as written now, where the file system can."""
        with suppress(OSError, NotImplementedError):
            if self.is_local:
                Path(self._at(path)).touch()
            else:
                self._fs.cp_file(self._at(path), self._at(path))  # stores date what is written

    def find(self) -> Iterator[tuple[str, float]]:
        """Yield the path of every file, staged ones included, and when it was written."""
        for found, info in self._fs.find(self._root, detail=True).items():
            yield str(found).removeprefix(self._root).lstrip("/"), _changed_at(info)

    def remove(self, path: str) -> bool:
        """Delete a file; tell whether there was one."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._at(path))
            return True
        return False

    def remove_folder(self, folder: str) -> None:
        """Delete a folder and all that is in it."""
        if self.exists(folder):
            with suppress(FileNotFoundError):
                self._fs.rm(self._at(folder), recursive=True)

    def local_path(self, path: str) -> Path:
        """Return where a file of a local folder lies."""
        return Path(self._at(path))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"


@contextmanager
def storing(url: str) -> Iterator[None]:
    """Turn what a file system raises into the error of a store that cannot be written.

    Raises:
        StorageFullError: something could not be written.
    """
    try:
        yield
    except OSError as error:
        raise StorageFullError(url, str(error)) from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _changed_at(info: Any) -> float:
    """Return when a file was written, by any file system's word; now when it says nothing."""
    changed = info.get("mtime") or info.get("LastModified") or info.get("created") or time.time()
    return float(changed if isinstance(changed, int | float) else changed.timestamp())
