"""Files of one kind under one folder of any file system that fsspec knows."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, cast
from uuid import uuid4

from indexstore.filesystems import changed_at, filesystem, reaching, sync

#: Bytes of a remote file that are read at a time, and how many such parts are kept.
_BLOCK_BYTES, _BLOCKS = 1 << 21, 8
_STAGING = ".incoming"


class Files:
    """Files by their path under a folder; what is not there raises FileNotFoundError.

    Whatever else goes wrong raises one of STORE_FAULTS.
    """

    def __init__(self, url: str, part: str) -> None:
        self.url = url
        self._fs: Any
        self._fs, base = filesystem(url)
        self._root = f"{str(base).rstrip('/')}/{part}"
        self.is_local = "file" in self._fs.protocol or "local" in self._fs.protocol

    def read(self, path: str, start: int = 0, end: int | None = None) -> bytes:
        """Return a file's bytes from ``start`` to ``end`` (exclusive)."""
        with reaching(self.url):
            data: bytes = self._fs.cat_file(self._at(path), start=start, end=end)
            return data

    def open(self, path: str) -> BinaryIO:
        """Return a file to read and seek in, of which little is held in memory."""
        with reaching(self.url):
            if self.is_local:
                return Path(self._at(path)).open("rb")
            kept = {"cache_type": "blockcache", "cache_options": {"maxblocks": _BLOCKS}}
            file = self._fs.open(self._at(path), "rb", block_size=_BLOCK_BYTES, **kept)
        return cast("BinaryIO", _Remote(file, self.url))

    def write(self, path: str, data: bytes, *, is_lasting: bool = False) -> None:
        """Write a file, whole or not at all; synced where it cannot be made again."""
        with reaching(self.url):
            if not self.is_local:
                self._fs.pipe_file(self._at(path), data)
                return
            target = Path(self._at(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.{uuid4().hex}")
            try:
                beside.write_bytes(data)
                if is_lasting:
                    sync(beside)
                beside.rename(target)
            finally:
                beside.unlink(missing_ok=True)
            if is_lasting:
                sync(target.parent)

    def stage(self) -> tuple[Path, IO[bytes]]:
        """Return a new file of this machine to write into, and to be placed or removed later."""
        folder = Path(self._at(_STAGING)) if self.is_local else Path(tempfile.gettempdir())
        with reaching(self.url):
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"gnes-{uuid4().hex}"
            return path, path.open("xb")

    def place(self, staged: Path, path: str) -> None:
        """Put a staged file, synced by its writer, durably in its place."""
        with reaching(self.url):
            if not self.is_local:
                self._fs.put_file(str(staged), self._at(path))
                return
            target = Path(self._at(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.rename(target)
            for folder in (target.parent, target.parent.parent):  # the second may be new as well
                sync(folder)

    def size_bytes(self, path: str) -> int:
        """Return the length of a file."""
        with reaching(self.url):
            return int(self._fs.size(self._at(path)))

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file."""
        with reaching(self.url):
            return bool(self._fs.exists(self._at(path)))

    def names(self, folder: str = "") -> list[str]:
        """Return what a folder holds: files, and folders in it."""
        with suppress(FileNotFoundError), reaching(self.url):
            listed = self._fs.ls(self._at(folder).rstrip("/"), detail=False)
            return [str(path).rstrip("/").rpartition("/")[2] for path in listed]
        return []

    def changed_at(self, path: str) -> float:
        """Return when a file was last written or marked (epoch seconds)."""
        with reaching(self.url):
            return changed_at(self._fs.info(self._at(path)))

    def mark(self, path: str) -> None:
        """Date a file as written now; on this machine, where its owner allows it."""
        if self.is_local:
            with suppress(OSError):
                Path(self._at(path)).touch()
            return
        # Object stores date what is written, and refuse to copy an object onto itself.
        beside = self._at(f"{_STAGING}/{uuid4().hex}")
        with reaching(self.url):
            self._fs.cp_file(self._at(path), beside)
            self._fs.cp_file(beside, self._at(path))
            self._fs.rm_file(beside)

    def find(self) -> Iterator[tuple[str, float]]:
        """Yield the path of every file, staged ones included, and when it was written."""
        with reaching(self.url):
            listed = self._fs.find(self._root, detail=True)
        for found, info in listed.items():
            yield str(found).removeprefix(self._root).lstrip("/"), changed_at(info)

    def remove(self, path: str) -> bool:
        """Delete a file; tell whether there was one."""
        with suppress(FileNotFoundError), reaching(self.url):
            self._fs.rm_file(self._at(path))
            return True
        return False

    def remove_folder(self, folder: str) -> None:
        """Delete a folder and all that is in it."""
        if self.exists(folder):
            with suppress(FileNotFoundError), reaching(self.url):
                self._fs.rm(self._at(folder), recursive=True)

    def local_path(self, path: str) -> Path:
        """Return where a file of a local folder lies."""
        return Path(self._at(path))

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"


class _Remote(io.RawIOBase):
    """A file of an object store, whose faults are told apart from those of its content."""

    def __init__(self, file: BinaryIO, url: str) -> None:
        self._file, self._url = file, url

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        with reaching(self._url):
            data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()
