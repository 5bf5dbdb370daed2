"""CLIP: texts and images in one space that was trained for it; the checkpoint is the user's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Floats, Rows, digest
from workers.encode.images import PictureEncoder
from workers.errors import MissingLibraryError, OptionError
from workers.models.weights import file_digest
from workers.vectors import unit_rows

_BATCH = 32


class CLIP(PictureEncoder):
    """CLIP's towers from a local checkpoint: name it on the text branch and on the image branch.

    Runs by clip-anytorch in torch, on the GPU in half precision where there is one. Longer texts
    than the model's 77 tokens are cut, and counted as ``texts_cut``.

    Args:
        model: path of the checkpoint (.pt): OpenAI's archives, or a plain state dict.
        frames: of several frames of a shot: their mean or their max.
    """

    aliases: ClassVar[tuple[str, ...]] = ("ClipEncoder",)
    inputs: ClassVar[tuple[Any, ...]] = ("text", "image", "video")

    def __init__(self, *, model: str, frames: Literal["mean", "max"] = "mean") -> None:
        self.model, self.frames = model, frames
        self._digest = ""

    def setup(self) -> None:
        """Load the checkpoint."""
        super().setup()
        path = Path(self.model).expanduser()
        if not path.is_file():
            raise OptionError("CLIP", (f"model: there is no file {path}",))
        try:
            from workers.models import clip  # noqa: PLC0415  (torch is optional)

            self._clip = clip.Clip(path)
        except ModuleNotFoundError as error:
            requirement = "torch==2.13.0 ftfy==6.3.1 && pip install --no-deps clip-anytorch==2.6.0"
            raise MissingLibraryError("CLIP", str(error.name), requirement) from error
        except ValueError as error:
            raise OptionError("CLIP", (f"model: {path}: {error}",)) from error
        self._scaling = clip.MEAN, clip.SPREAD
        self.dim = self._clip.dim

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk, of texts or of pictures."""
        places = [place for place, chunk in enumerate(chunks) if chunk.text is not None]
        rows = np.zeros((len(chunks), self.dim), np.float32)
        for start in range(0, len(places), _BATCH):
            part = places[start : start + _BATCH]
            made, cut = self._clip.texts([chunks[place].text or "" for place in part])
            if cut:
                self.tally.add("texts_cut", cut)
            rows[part] = unit_rows(made)
        shown = [place for place, chunk in enumerate(chunks) if chunk.text is None]
        if shown:
            rows[shown] = super().encode([chunks[place] for place in shown])
        return rows

    def rows(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Return the image tower's rows of the pictures' middle squares."""
        squares = [_middle(picture) for picture in pictures]
        return self._clip.images(self.scaled(squares, (self._clip.side,) * 2, *self._scaling))

    def fingerprint(self) -> str:
        """Return the hash of the checkpoint and of the options that shape vectors."""
        if not self._digest:
            self._digest = file_digest(Path(self.model).expanduser())
        return digest("CLIP", self.version, self._digest, self.frames)


def _middle(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the largest square in the middle of a picture."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return np.ascontiguousarray(picture[top : top + side, left : left + side])
