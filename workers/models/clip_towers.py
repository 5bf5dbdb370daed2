"""What CLIP's two towers are, whatever runs them; and which names OpenAI's checkpoints have."""

import ast
import hashlib
import importlib.util
import os
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from uuid import uuid4

from workers.component import Floats

PACKAGE = "clip"
#: How CLIP's training scaled pixels, per channel and of values in [0, 1].
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)

_TIMEOUT_S = 60.0
_BLOCK = 1 << 20


class Towers(ABC):
    """A tower of images and a tower of texts, whose rows are of one space.

    Attributes:
        dim: dimension of the rows.
        side: width and height of the pictures.
        mean, spread: how pixels are scaled, per channel and of values in [0, 1].
        crops: whether the middle of a picture is taken; else it is squeezed.
    """

    dim: int
    side: int
    mean: Sequence[float]
    spread: Sequence[float]
    crops: bool = True

    @abstractmethod
    def images(self, pixels: Floats) -> Floats:
        """Return the image tower's rows of scaled pixels (n, 3, side, side)."""

    @abstractmethod
    def texts(self, texts: Sequence[str]) -> tuple[Floats, int]:
        """Return the text tower's rows, and how many texts were cut."""


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint that OpenAI published: where it lies, and the hash of its content."""

    url: str

    @property
    def sha256(self) -> str:
        """The hash, which is part of the address."""
        return self.url.rsplit("/", 2)[-2]

    def file(self, folder: Path) -> Path:
        """Return the checkpoint on this machine, brought into the folder if it is not there.

        Raises:
            ValueError: it is neither there nor to be had.
        """
        place = folder / self.url.rsplit("/", 1)[-1]
        if place.is_file() and _hash(place) == self.sha256:
            return place
        folder.mkdir(parents=True, exist_ok=True)
        beside = place.with_name(f"{place.name}.{uuid4().hex}")
        try:
            self._download(beside)
            beside.rename(place)
        except (URLError, OSError, ValueError) as error:
            raise ValueError(
                f"{place.name} is not in {folder} and cannot be downloaded ({error}); where there"
                f" is a network fetch {self.url}, put it into {folder}, or name a file of your own"
            ) from error
        finally:
            beside.unlink(missing_ok=True)
        return place

    def _download(self, file: Path) -> None:
        with (
            urllib.request.urlopen(self.url, timeout=_TIMEOUT_S) as source,  # noqa: S310  (the package's own https)
            file.open("wb") as target,
        ):
            while block := source.read(_BLOCK):
                target.write(block)
            target.flush()
            os.fsync(target.fileno())
        if _hash(file) != self.sha256:
            raise ValueError("what came has another hash than it should")


def published(name: str) -> Published | None:
    """Return the checkpoint of a name such as ViT-B/32; None when there is none.

    The names and addresses are those of clip-anytorch, read from its source.

    Raises:
        ModuleNotFoundError: the package is not installed.
    """
    source = package_file("clip").read_text(encoding="utf-8")
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "_MODELS":
            url = ast.literal_eval(node.value).get(name)
            return Published(url) if url else None
    return None


def package_file(name: str) -> Path:
    """Return one file of clip-anytorch; the package is not imported.

    Raises:
        ModuleNotFoundError: it is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    return Path(found.origin).with_name(f"{name}.py")


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
