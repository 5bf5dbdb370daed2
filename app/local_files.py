"""Media of this machine, on their way to a server: small ones inside the request, others before."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.client import Client

#: Up to this size a file costs less within the request than in one of its own.
INSIDE_BYTES = 1 << 20

MEDIA = {
    "image": (
        ".png", ".jpg", ".jpeg", ".jfif", ".gif", ".apng", ".webp", ".avif", ".bmp", ".tif",
        ".tiff", ".jp2", ".ico",
    ),
    "audio": (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aif", ".aiff"),
    "video": (
        ".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov", ".mpg", ".mpeg", ".ts", ".ogv", ".wmv",
        ".flv", ".3gp",
    ),
}  # fmt: skip
MODALITY = {suffix: kind for kind, suffixes in MEDIA.items() for suffix in suffixes}


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A medium that is still a file of this machine."""

    path: Path

    @property
    def size_bytes(self) -> int:
        """Return how long it is; 0 when it cannot be read."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


def modality_of(path: Path) -> str | None:
    """Return what a file's name says it is: image, audio or video; None for anything else."""
    return MODALITY.get(path.suffix.lower())


def sent(document: Mapping[str, Any], api: Client) -> Mapping[str, Any]:
    """Return a document, or a query, whose media are such as the server takes.

    Raises:
        OSError: a file cannot be read. ClientError: the server does not take it.
    """
    return {
        key: medium(value.path, api) if isinstance(value, LocalFile) else value
        for key, value in document.items()
    }


def medium(path: Path, api: Client) -> dict[str, str]:
    """Return the content of a file as documents and queries carry it."""
    if path.stat().st_size <= INSIDE_BYTES:
        return {"base64": base64.b64encode(path.read_bytes()).decode("ascii")}
    return {"blob": str(api.upload(path)["blob"])}
