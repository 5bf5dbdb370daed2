"""CLIP: texts and images in one space that was trained for it; the model is the user's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from workers.component import Chunk, Floats, Rows, digest
from workers.encode.pictures import PictureEncoder, Pixels, Precision, middle
from workers.errors import MissingLibraryError, OptionError
from workers.models.clip_towers import Towers, published
from workers.models.weights import path_digest
from workers.vectors import unit_rows

_TEXTS = 32  # in one run
#: No tower reads as many characters; what is beyond would be cut after being tokenised.
_CHARACTERS = 16_384
#: What runs a folder of transformers, and what runs a checkpoint.
_FOLDER_NEEDS = "torch==2.13.0 transformers==5.23.0"
_FILE_NEEDS = "torch==2.13.0 ftfy==6.3.1 && pip install --no-deps clip-anytorch==2.6.0"


class CLIP(PictureEncoder):
    """CLIP's towers: name it on the text branch and on the image branch, with the same model.

    Takes a checkpoint file or a published name (run by clip-anytorch in torch), a folder of
    transformers (CLIP, SigLIP; torch), or a folder with two ONNX models (no torch). Runs on the GPU
    in half precision where there is one. Longer texts than the model takes are cut, and counted as
    ``texts_cut``.

    Args:
        model: path of a checkpoint (.pt: OpenAI's archives, or a plain state dict); path of a
            folder; or a name such as ViT-B/32, which is downloaded once.
        frames: of several frames of a shot: their mean or their max.
        download_root: where checkpoints with a name are kept.
        device: auto, cpu, cuda, cuda:1, mps; auto is the GPU where there is one.
        precision: what it multiplies in; auto is half precision on a GPU, float32 elsewhere.
        batch_size: pictures at once; 0 takes as many as the GPU's memory holds.
    """

    aliases: ClassVar[tuple[str, ...]] = ("ClipEncoder",)
    inputs: ClassVar[tuple[Any, ...]] = ("text", "image", "video")
    speed_options = ("device", "precision", "batch_size", "download_root")

    def __init__(
        self,
        *,
        model: str,
        frames: Literal["mean", "max"] = "mean",
        download_root: str = "~/.cache/clip",
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int = 0,
    ) -> None:
        if batch_size < 0:
            raise ValueError("batch_size is at least 0")
        self.model, self.frames, self.download_root = model, frames, download_root
        self.device, self.precision, self.batch_size = device, precision, batch_size
        self._digest = ""

    def setup(self) -> None:
        """Load the model."""
        super().setup()
        path = Path(self.model).expanduser()
        try:
            self._towers = self._opened(path)
        except ModuleNotFoundError as error:
            cure = _FOLDER_NEEDS if path.is_dir() else _FILE_NEEDS
            raise MissingLibraryError("CLIP", str(error.name), cure) from error
        except (ValueError, OSError) as error:
            raise OptionError("CLIP", (f"model: {error}",)) from error
        self.dim = self._towers.dim

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk, of texts or of pictures."""
        places = [place for place, chunk in enumerate(chunks) if chunk.text is not None]
        rows = np.zeros((len(chunks), self.dim), np.float32)
        for start in range(0, len(places), _TEXTS):
            part = places[start : start + _TEXTS]
            rows[part] = unit_rows(self._texts([chunks[place].text or "" for place in part]))
        shown = [place for place, chunk in enumerate(chunks) if chunk.text is None]
        if shown:
            rows[shown] = super().encode([chunks[place] for place in shown])
        return rows

    def rows(self, pictures: Sequence[Pixels]) -> Floats:
        """Return the image tower's rows of the pictures, or of their middle squares."""
        towers = self._towers
        squares = [middle(picture) if towers.crops else picture for picture in pictures]
        size = (towers.side, towers.side)
        return towers.images(self.scaled(squares, size, towers.mean, towers.spread))

    def fingerprint(self) -> str:
        """Return the hash of the model and of the options that shape vectors."""
        if not self._digest:
            path = Path(self.model).expanduser()
            self._digest = path_digest(path) if path.exists() else self.model
        return digest("CLIP", self.version, self._digest, self.frames)

    def _texts(self, texts: Sequence[str]) -> Floats:
        from workers.models.tokens import without_surrogates  # noqa: PLC0415  (loads tokenizers)

        rows, cut = self._towers.texts([without_surrogates(text[:_CHARACTERS]) for text in texts])
        if cut:
            self.tally.add("texts_cut", cut)
        return rows

    def _opened(self, path: Path) -> Towers:
        """Return the towers of what ``model`` names."""
        if path.is_dir() and not (path / "config.json").is_file():
            return self._of_onnx(path)
        return self._of_torch(path)

    def _of_onnx(self, path: Path) -> Towers:
        from workers.models.batch_size import BatchSize  # noqa: PLC0415  (loaded in setup)
        from workers.models.clip_onnx import OnnxTowers  # noqa: PLC0415  (as above)

        if self.batch_size:
            self.batches = BatchSize(self.batch_size)
        return OnnxTowers(path, self.device)

    def _of_torch(self, path: Path) -> Towers:
        from workers.models.torch_device import TorchDevice  # noqa: PLC0415  (torch is optional)

        device = TorchDevice.choose(self.device, self.precision)
        self.batches = device.batches(self.batch_size)
        if path.is_dir():
            from workers.models.clip_folder import FolderTowers  # noqa: PLC0415  (as above)

            return FolderTowers(path, device)
        from workers.models.clip_checkpoint import CheckpointTowers  # noqa: PLC0415  (as above)

        return CheckpointTowers(path if path.exists() else self._named(), device)

    def _named(self) -> Path:
        """Return the file of a published checkpoint, downloaded if need be."""
        found = published(self.model)
        if found is None:
            raise ValueError(
                f"there is no file {self.model} and no published model of that name (ViT-B/32, ...)"
            )
        return found.file(Path(self.download_root).expanduser())
