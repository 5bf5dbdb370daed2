"""Where the folders of segments lie: a local folder, or any object store that fsspec knows.

In a local folder nothing is ever copied: a folder is made beside its place, synced, and renamed
into it. From elsewhere folders are brought once into a cache on this machine.
"""

import shutil
import time
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from indexstore.filesystems import changed_at, filesystem, reaching, sync

STAGING = ".staging"
LAST_FILE = "meta.json"  # uploaded last: a folder without it is no segment


class Blobs:
    """Folders by key; a key is a relative path such as ``text/0/01H...``."""

    def __init__(self, url: str | Path, *, cache: Path | None = None) -> None:
        self.url = str(url)
        self._remote: Any = None
        self._prefix = ""
        is_path = "://" not in self.url or self.url.startswith("file://")
        if is_path:
            self._local = Path(self.url.removeprefix("file://"))
        else:
            self._remote, self._prefix = filesystem(self.url.rstrip("/"))
            self._local = cache or Path.cwd() / ".blobs"
        self._local.mkdir(parents=True, exist_ok=True)

    @property
    def is_local(self) -> bool:
        """Tell whether folders are used where they lie."""
        return self._remote is None

    def stage(self) -> Path:
        """Make an empty folder to write into, on the file system it will be published on."""
        folder = self._local / STAGING / uuid4().hex
        folder.mkdir(parents=True)
        return folder

    def publish(self, folder: Path, key: str) -> None:
        """Make a staged folder durable and put it in its place, whole or not at all.

        Raises:
            BlobsUnavailableError: the object store did not take it.
        """
        for path in (*sorted(folder.rglob("*")), folder):
            sync(path)
        if self._remote is not None:
            with reaching(self.url):
                self._upload(folder, key)
        place = self._local / key
        place.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(place)
        sync(place.parent)

    def fetch(self, key: str) -> Path:
        """Return the folder on this machine, brought here if it is not yet.

        Raises:
            FileNotFoundError: there is no such folder.
            BlobsUnavailableError: the object store does not give it now.
        """
        place = self._local / key
        if not place.is_dir():
            if self._remote is None:
                raise FileNotFoundError(place)
            with reaching(self.url):
                self._download(key, place)
        return place

    def forget(self, key: str) -> bool:
        """Drop the copy on this machine, if there is an original elsewhere to fetch again."""
        if self._remote is None:
            return False
        shutil.rmtree(self._local / key, ignore_errors=True)
        return True

    def delete(self, key: str) -> None:
        """Remove a folder everywhere; one that is not there is no error.

        Processes that have its files mapped go on reading them until they let go.

        Raises:
            BlobsUnavailableError: the object store did not do it.
        """
        shutil.rmtree(self._local / key, ignore_errors=True)
        if self._remote is not None:
            with reaching(self.url):
                self._remove(key)

    def sweep(self, prefix: str, known: Container[str], *, age_s: float) -> int:
        """Remove what builders that died, and readers, have left; return how many folders.

        Args:
            prefix: the folder that holds the keys.
            known: the keys that somebody still needs.
            age_s: folders younger than this may have a builder or a reader at work.

        Raises:
            BlobsUnavailableError: the object store could not be asked.
        """
        swept = self.sweep_here(prefix, known, age_s=age_s)
        if self._remote is None:
            return swept
        with reaching(self.url):
            old = self._orphans(prefix, known, before=time.time() - age_s)
            for key in old:
                self._remove(key)
        return swept + len(old)

    def sweep_here(self, prefix: str, known: Container[str], *, age_s: float) -> int:
        """Remove like ``sweep``, but only what lies on this machine."""
        staged = list((self._local / STAGING).glob("*"))
        placed = {
            folder: folder.relative_to(self._local).as_posix()
            for folder in (self._local / prefix).glob("*/*/*")
        }
        orphans = staged + [folder for folder, key in placed.items() if key not in known]
        old = [folder for folder in orphans if _age_s(folder) > age_s]
        for folder in old:
            shutil.rmtree(folder, ignore_errors=True)
        return len(old)

    def _orphans(self, prefix: str, known: Container[str], *, before: float) -> list[str]:
        """Return the keys in the object store that nobody knows and nobody writes any more."""
        newest: dict[str, float] = {}
        try:
            found = self._remote.find(self._address(prefix), detail=True)
        except FileNotFoundError:
            return []
        for path, info in found.items():
            name = path.removeprefix(self._address("")).split("/")
            key = "/".join(name[:4])  # collection, index, generation, segment
            newest[key] = max(newest.get(key, 0.0), changed_at(info))
        return [key for key, changed in newest.items() if key not in known and changed < before]

    def _remove(self, key: str) -> None:
        """Remove a folder from the object store, unless somebody was faster."""
        with suppress(FileNotFoundError):
            self._remote.rm(self._address(key), recursive=True)

    def discard(self, folder: Path) -> None:
        """Remove a staged folder that will not be published."""
        shutil.rmtree(folder, ignore_errors=True)

    def size_bytes(self) -> int:
        """Return the bytes on this machine."""
        return sum(path.stat().st_size for path in self._local.rglob("*") if path.is_file())

    def _address(self, key: str) -> str:
        return f"{self._prefix}/{key}"

    def _upload(self, folder: Path, key: str) -> None:
        paths = sorted((p for p in folder.rglob("*") if p.is_file()), key=_is_last)
        for path in paths:
            name = path.relative_to(folder).as_posix()
            self._remote.put_file(str(path), f"{self._address(key)}/{name}")

    def _download(self, key: str, place: Path) -> None:
        address = self._address(key)
        if not self._remote.exists(f"{address}/{LAST_FILE}"):
            raise FileNotFoundError(f"{self.url}/{key}")
        folder = self.stage()
        for found in self._remote.find(address):
            target = folder / found.removeprefix(address).lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            self._remote.get_file(found, str(target))
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            folder.rename(place)
        except OSError:
            # Another process of this machine was faster: its copy is as good.
            self.discard(folder)
            if not place.is_dir():
                raise


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:  # its builder, or another sweeper, was faster
        return 0.0


def _is_last(path: Path) -> bool:
    return path.name == LAST_FILE
