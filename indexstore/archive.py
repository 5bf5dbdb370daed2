"""Where the snapshots of a collection lie: folders of files in the blob store.

A snapshot is parts with checksums, the media that its documents refer to, and, written last, a
manifest: a folder without one is no snapshot. Nothing in it refers to anything outside, so a folder
can be copied to another deployment's store and be restored there.
"""

import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from indexstore.errors import IndexStoreError
from indexstore.files import Files

FORMAT = 1
#: Beside the folders of collections, whose names begin with a letter or a digit.
ROOT = ".snapshots"
_MANIFEST = "snapshot.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


class SnapshotNotFoundError(IndexStoreError):
    """No snapshot has that name."""

    status = 404
    code = "snapshot_not_found"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"there is no snapshot {self.name!r}; `gnes snapshot ls` lists those there are"


class CorruptSnapshotError(IndexStoreError):
    """A file of a snapshot is not what was written."""

    status = 422
    code = "corrupt_snapshot"

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return (
            f"snapshot {self.name!r} cannot be read: {self.reason}; copy its folder below {ROOT} "
            "here again, or delete it"
        )


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """What a snapshot says of itself; ``parts`` are file names with their checksums."""

    name: str
    collection: str
    fingerprint: str
    lineage: str
    documents: int
    encoded: int  # those that come with their chunks and vectors
    size_bytes: int
    created_at: float
    parts: tuple[tuple[str, str], ...] = ()
    media: tuple[str, ...] = ()
    artefacts: tuple[Mapping[str, Any], ...] = ()
    format: int = FORMAT


def is_name(name: str) -> bool:
    """Tell whether a snapshot may be called so."""
    return _NAME.fullmatch(name) is not None


def new_name() -> str:
    """Return a name for a snapshot that nobody has named: the time, to the second."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())


class Archive:
    """The snapshots of one collection; faults of the store raise one of STORE_FAULTS."""

    def __init__(self, blob_url: str, collection: str) -> None:
        self._files = Files(blob_url, f"{ROOT}/{collection}")

    def survey(self) -> tuple[list[SnapshotInfo], list[str]]:
        """Return every complete snapshot, the newest first, and the names of damaged ones."""
        found: list[SnapshotInfo] = []
        damaged: list[str] = []
        for name in filter(is_name, self._files.names()):
            try:
                found += [info] if (info := self._info(name)) else []
            except CorruptSnapshotError:
                damaged.append(name)
        return sorted(found, key=lambda info: (-info.created_at, info.name)), sorted(damaged)

    def info(self, name: str) -> SnapshotInfo:
        """Return what a snapshot says of itself.

        Raises:
            SnapshotNotFoundError: there is none, or it was not finished.
            CorruptSnapshotError: another version of GNES wrote it, or it is damaged.
        """
        info = self._info(name) if is_name(name) else None
        if info is None:
            raise SnapshotNotFoundError(name)
        if info.format != FORMAT:
            raise CorruptSnapshotError(name, f"its format is {info.format}, not {FORMAT}")
        return info

    def write(self, name: str, file: str, data: bytes) -> str:
        """Write a file of a snapshot, durably; return its checksum.

        Raises:
            StorageFullError: there is no space for it.
        """
        self._files.write(f"{name}/{file}", data, is_lasting=True)
        return sha256(data).hexdigest()

    def link(self, name: str, file: str, original: Path) -> bool:
        """Take an immutable file of this machine over without copying it, where that is possible.

        Returns:  False where it must be copied.
        """
        if not self._files.is_local:
            return False
        target = self._files.local_path(f"{name}/{file}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(original, target)
        except FileExistsError:
            return True
        except OSError:
            return False
        return True

    def finish(self, info: SnapshotInfo) -> None:
        """Write the manifest: from now on there is a snapshot of that name."""
        self.write(info.name, _MANIFEST, json.dumps(asdict(info)).encode())

    def read(self, info: SnapshotInfo) -> Iterator[bytes]:
        """Yield the parts of a snapshot in their order, checked.

        Raises:
            CorruptSnapshotError: one is not what was written.
        """
        for file, checksum in info.parts:
            data = self._read(info.name, file)
            if sha256(data).hexdigest() != checksum:
                raise CorruptSnapshotError(info.name, f"{file} is damaged")
            yield data

    def medium(self, info: SnapshotInfo, blob: str) -> bytes:
        """Return a medium that came with a snapshot.

        Raises:
            CorruptSnapshotError: it is missing, or not what was written.
        """
        data = self._read(info.name, medium_file(blob))
        if sha256(data).hexdigest() != blob.rpartition(":")[2]:
            raise CorruptSnapshotError(info.name, f"{blob} is damaged")
        return data

    def delete(self, name: str) -> None:
        """Delete a snapshot, finished or not; the manifest goes first.

        Raises:
            SnapshotNotFoundError: there is nothing of that name.
        """
        if not is_name(name) or not self._files.exists(name):
            raise SnapshotNotFoundError(name)
        self._files.remove(f"{name}/{_MANIFEST}")
        self._files.remove_folder(name)

    def _info(self, name: str) -> SnapshotInfo | None:
        try:
            said = json.loads(self._files.read(f"{name}/{_MANIFEST}"))
            parts = tuple((file, checksum) for file, checksum in said["parts"])
            lists = {"media": tuple(said["media"]), "artefacts": tuple(said["artefacts"])}
            return SnapshotInfo(**{**said, **lists, "parts": parts, "name": name})
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise CorruptSnapshotError(name, f"its manifest is damaged ({error})") from error

    def _read(self, name: str, file: str) -> bytes:
        try:
            return self._files.read(f"{name}/{file}")
        except FileNotFoundError as error:
            raise CorruptSnapshotError(name, f"{file} is missing") from error


def medium_file(blob: str) -> str:
    """Return where a medium lies in a snapshot."""
    digest = blob.rpartition(":")[2]
    return f"media/{digest[:2]}/{digest}"
