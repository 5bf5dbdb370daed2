"""What is made from contents and can be made again: previews to look at, scratch between stages."""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from uuid import uuid4

from indexstore.errors import IndexStoreError
from indexstore.files import Files

#: Previews kept of one content; others of it are made again each time somebody asks.
MAX_PREVIEWS = 64
_RECIPE = re.compile(r"[a-z0-9][a-z0-9.,_-]{0,120}")
_SCRATCH = re.compile(r"[0-9a-f]{32}")


class ScratchGoneError(IndexStoreError):
    """What an earlier stage left is not there any more."""

    status = 410
    code = "scratch_gone"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"what an earlier stage left as {self.name!r} is gone; the document is sent again"


class Previews:
    """Thumbnails, crops and clips, by the content they show and the recipe they were made by."""

    def __init__(self, url: str) -> None:
        self._files = Files(url, "previews")

    def get(self, digest: str, recipe: str) -> bytes | None:
        """Return what was made of a content by this recipe; None when it was not made yet."""
        with suppress(FileNotFoundError):
            return self._files.read(f"{_folder(digest)}/{_checked(recipe)}")
        return None

    def keep(self, digest: str, recipe: str, data: bytes) -> None:
        """Keep what was made of a content, unless many others of it are kept already."""
        if len(self._files.names(_folder(digest))) < MAX_PREVIEWS:
            self._files.write(f"{_folder(digest)}/{_checked(recipe)}", data)

    def drop(self, digest: str) -> None:
        """Delete all that was made of a content."""
        self._files.remove_folder(_folder(digest))


class Scratch:
    """What stages of one document hand on to each other because it is too large for a message."""

    def __init__(self, url: str) -> None:
        self._files = Files(url, "scratch")

    def put(self, data: bytes) -> str:
        """Keep what the next stage shall read; return its name, which nothing else has.

        Raises:
            StorageFullError: there is no space for it.
        """
        name = uuid4().hex
        self._files.write(name, data)
        return name

    def get(self, name: str) -> bytes:
        """Return what a stage has left.

        Raises:
            ScratchGoneError: it is gone.
        """
        if not _SCRATCH.fullmatch(name):
            raise ScratchGoneError(name)
        try:
            return self._files.read(name)
        except FileNotFoundError as error:
            raise ScratchGoneError(name) from error

    def drop(self, names: Collection[str]) -> None:
        """Delete what nobody reads any more."""
        for name in names:
            if _SCRATCH.fullmatch(name):
                self._files.remove(name)

    def collect(self, *, older_than: float) -> int:
        """Delete what was left by stages whose documents came to nothing; return how many files."""
        return sum(
            self._files.remove(path) for path, when in self._files.find() if when < older_than
        )


def _folder(digest: str) -> str:
    return f"{digest[:2]}/{digest}"


def _checked(recipe: str) -> str:
    if not _RECIPE.fullmatch(recipe):
        raise ValueError(f"{recipe!r} is no name of a preview")
    return recipe
