"""Encoders of images from a file: any ONNX model."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from workers.component import Floats, digest
from workers.encode.pictures import Fit, Frames, PictureEncoder, Pixels, fitted_to
from workers.errors import OptionError
from workers.models.weights import file_digest


class OnnxImageEncoder(PictureEncoder):
    """Any ONNX model of images: its first input is pixels, an output gives a row an image.

    Args:
        model: path of the .onnx file.
        output: name of the output to take; the first when absent. More dimensions than two are
            averaged: a map of features over its places, a row of tokens over these.
        mean: what is taken off each channel of values in [0, 1].
        spread: what each channel is divided by then.
        size: width and height, for models that take any.
        fit: how a picture becomes a square: squeeze, crop its middle, or pad it in its border's
            colour.
        frames: of several frames of a shot: their mean, their max, or none to keep them all.
        device: auto, cpu or cuda; auto is the GPU where onnxruntime-gpu is installed.
        batch_size: pictures at once, fewer where memory does not do.
    """

    aliases: ClassVar[tuple[str, ...]] = ("BaseONNXImageEncoder",)
    speed_options = ("device", "batch_size")

    def __init__(  # noqa: PLR0913  (the options of YAML)
        self,
        *,
        model: str,
        output: str | None = None,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        spread: Sequence[float] = (0.229, 0.224, 0.225),
        size: int = 224,
        fit: Fit = "squeeze",
        frames: Frames = "mean",
        device: str = "auto",
        batch_size: int = 16,
    ) -> None:
        if min(size, batch_size) < 1 or len(mean) != len(spread) or min(spread) <= 0:
            raise ValueError("size and batch_size are at least 1; mean and spread have 3 numbers")
        self.model, self.output, self.size, self.fit = model, output, size, fit
        self.mean, self.spread, self.frames = tuple(mean), tuple(spread), frames
        self.device, self.batch_size = device, batch_size

    def setup(self) -> None:
        """Open the model and learn its dimension."""
        super().setup()
        from workers.models.batch_size import BatchSize  # noqa: PLC0415  (loaded in setup)
        from workers.models.onnx_images import PictureInput  # noqa: PLC0415  (as above)
        from workers.models.onnx_session import open_session  # noqa: PLC0415  (as above)

        path = Path(self.model).expanduser()
        if not path.is_file():
            raise OptionError("OnnxImageEncoder", (f"model: there is no file {path}",))
        try:
            self._session = open_session(str(path), device=self.device)
            self._input = PictureInput.of(self._session, self.size)
        except ValueError as error:
            raise OptionError("OnnxImageEncoder", (f"{path}: {error}",)) from error
        names = [output.name for output in self._session.get_outputs()]
        self.output = self.output or names[0]
        if self.output not in names:
            fault = f"output: {path} gives {', '.join(names)}, not {self.output!r}"
            raise OptionError("OnnxImageEncoder", (fault,))
        self.batches = BatchSize(self.batch_size)
        self.dim = self.rows([np.zeros((8, 8, 3), np.uint8)]).shape[1]

    def rows(self, pictures: Sequence[Pixels]) -> Floats:
        """Return what the model makes of the pictures."""
        squares = [fitted_to(picture, self.fit) for picture in pictures]
        if self._input.dtype is np.uint8:
            small = [self._pictures.resized(picture, *self._input.size) for picture in squares]
            pixels = np.stack(small).transpose(0, 3, 1, 2)
        else:
            pixels = self.scaled(squares, self._input.size, self.mean, self.spread)
        return self._input.run(self._session, self.output or "", pixels)

    def fingerprint(self) -> str:
        """Return the hash of the file and of the options that shape vectors."""
        shaping = {k: v for k, v in self.shaping_options().items() if k != "model"}
        return digest("OnnxImageEncoder", file_digest(Path(self.model).expanduser()), shaping)
