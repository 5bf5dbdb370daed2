"""Encoders of images: EfficientNet-Lite, any ONNX model, and ConSE, which shares a space with text.

They read pixels (height, width, 3), or several frames (n, height, width, 3) of a shot.
"""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Floats, Rows, digest
from workers.encode.transformer import MiniLM
from workers.errors import ContentError, MissingLibraryError, OptionError
from workers.models.weights import file_digest
from workers.vectors import padded_rows, unit_rows

Frames = Literal["mean", "max", "none"]

_SHOT = 4  # dimensions of several frames
#: Pictures in one run of a network: enough to be fast, few enough for small machines.
_BATCH = 16


class PictureEncoder(Encoder):
    """What encodes pictures by a network; of a shot it gives the mean of its frames' rows."""

    inputs: ClassVar[tuple[Any, ...]] = ("image", "video")
    frames: Frames = "mean"

    def setup(self) -> None:
        """Load Pillow and the network."""
        title = type(self).names()[0]
        try:
            from workers.models import pictures  # noqa: PLC0415  (Pillow is optional)
        except ModuleNotFoundError as error:
            raise MissingLibraryError(title, "pillow", "pillow==13.0.0") from error
        self._pictures = pictures

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk; with frames none, a row a frame of it."""
        shots = [self._shot(chunk) for chunk in chunks]
        if not shots:
            return np.zeros((0, self.dim), np.float32)
        flat = [frame for shot in shots for frame in shot]
        rows = np.concatenate(
            [self.rows(flat[start : start + _BATCH]) for start in range(0, len(flat), _BATCH)]
        )
        parts = np.split(rows, np.cumsum([len(shot) for shot in shots])[:-1])
        if self.frames == "none":
            return padded_rows([unit_rows(part) for part in parts])
        pooled = [part.max(axis=0) if self.frames == "max" else part.mean(axis=0) for part in parts]
        return unit_rows(np.stack(pooled))

    @abstractmethod
    def rows(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Return one row a picture, of any length."""

    def scaled(
        self,
        pictures: Sequence[NDArray[np.uint8]],
        size: tuple[int, int],
        mean: Sequence[float],
        spread: Sequence[float],
    ) -> Floats:
        """Return pictures of one (width, height), values in [0, 1] minus mean over spread, nchw."""
        small = np.stack([self._pictures.resized(picture, *size) for picture in pictures])
        factor = np.float32(1 / 255) / np.asarray(spread, np.float32)
        offset = np.asarray(mean, np.float32) / np.asarray(spread, np.float32)
        return np.ascontiguousarray((small * factor - offset).transpose(0, 3, 1, 2))

    def _shot(self, chunk: Chunk) -> list[NDArray[np.uint8]]:
        if chunk.array is None or not chunk.array.size:
            raise ContentError("this encoder reads images", "put an image preprocessor before it")
        frames = chunk.array if chunk.array.ndim == _SHOT else chunk.array[None]
        return [self._pictures.as_picture(frame) for frame in frames]


class EfficientNetLite(PictureEncoder):
    """EfficientNet-Lite0: images to 1280 dimensions, weights from an installed package.

    Runs on ONNX Runtime, without torch and without a download. Good at what is alike: the same
    kind of thing, and the same picture after edits.

    Args:
        frames: of several frames of a shot: their mean, their max, or none to keep them all for a
            VLAD or TokenPooling behind it.
    """

    aliases: ClassVar[tuple[str, ...]] = ("TorchvisionEncoder", "EfficientNetLite0")
    former_options: ClassVar[dict[str, str | None]] = {
        "model_name": None, "layers": None, "model_dir": None, "batch_size": None,
    }  # fmt: skip
    dim = 1280

    def __init__(self, *, frames: Frames = "mean") -> None:
        self.frames = frames

    def setup(self) -> None:
        """Build the network from the package's weights."""
        super().setup()
        from workers.models import efficientnet  # noqa: PLC0415  (onnx is loaded in setup)
        from workers.models.onnx_session import open_session  # noqa: PLC0415  (as above)

        path = efficientnet.weights_path(type(self).names()[0])
        self._session = open_session(efficientnet.lite_graph(path))
        self._side = efficientnet.SIDE
        self._mean, self._spread = efficientnet.MEAN, efficientnet.SPREAD

    def rows(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Return the pooled last layer."""
        return self.run(pictures, "features")

    def run(self, pictures: Sequence[NDArray[np.uint8]], output: str) -> Floats:
        """Return an output of the network, a row a picture."""
        x = self.scaled(pictures, (self._side, self._side), self._mean, self._spread)
        (rows,) = self._session.run([output], {"x": x})
        return np.asarray(rows, np.float32)


class ConSE(EfficientNetLite):
    """Images in the space of texts: pair it with ConSEText on the text branch; this is not CLIP.

    What a classifier of 1000 things takes an image for, as the mean of MiniLM's embeddings of
    their names (Norouzi et al., Zero-shot learning by convex combination of semantic embeddings,
    2014). Everyday things are found by words; what is none of ImageNet's classes, hardly.

    Args:
        temperature: over 1, less likely classes count more.
        frames: of several frames of a shot: their mean or their max.
    """

    aliases: ClassVar[tuple[str, ...]] = ("ConSEImage",)
    former_options: ClassVar[dict[str, str | None]] = {}
    dim = MiniLM.dim

    def __init__(
        self, *, temperature: float = 2.0, frames: Literal["mean", "max"] = "mean"
    ) -> None:
        super().__init__(frames=frames)
        if temperature <= 0:
            raise ValueError("temperature must be over 0")
        self.temperature = temperature

    def setup(self) -> None:
        """Build the network and embed the names of its classes."""
        super().setup()
        self._names = _centred_names()[0]

    def rows(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Return the likely classes' names, as a vector."""
        logits = self.run([_squared(p) for p in pictures], "logits") / self.temperature
        likely = np.exp(logits - logits.max(axis=1, keepdims=True))
        likely /= likely.sum(axis=1, keepdims=True)
        return np.asarray(likely @ self._names, np.float32)


class ConSEText(MiniLM):
    """Texts in the space of ConSE's images: MiniLM without what all class names have in common.

    Args:
        max_tokens: cut texts here, when shorter than the model's 256.
        batch_tokens: padded tokens a batch; bounds memory and the time others wait.
    """

    aliases: ClassVar[tuple[str, ...]] = ()

    def setup(self) -> None:
        """Load MiniLM and embed the names of the classes."""
        super().setup()
        self._mean = _centred_names()[1]

    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row of length 1 a chunk."""
        return unit_rows(super().encode(chunks) - self._mean)


class OnnxImageEncoder(PictureEncoder):
    """Any ONNX model of images: its first input is pixels, an output gives a row an image.

    Args:
        model: path of the .onnx file.
        output: name of the output to take; the first when absent. More dimensions than two are
            averaged (a map of features).
        mean: what is taken off each channel of values in [0, 1].
        spread: what each channel is divided by then.
        size: width and height, for models that take any.
        frames: of several frames of a shot: their mean, their max, or none to keep them all.
    """

    aliases: ClassVar[tuple[str, ...]] = ("BaseONNXImageEncoder",)

    def __init__(
        self,
        *,
        model: str,
        output: str | None = None,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        spread: Sequence[float] = (0.229, 0.224, 0.225),
        size: int = 224,
        frames: Frames = "mean",
    ) -> None:
        if size < 1 or len(mean) != len(spread) or min(spread) <= 0:
            raise ValueError("size must be at least 1; mean and spread have 3 numbers, spread > 0")
        self.model, self.output, self.size = model, output, size
        self.mean, self.spread, self.frames = tuple(mean), tuple(spread), frames

    def setup(self) -> None:
        """Open the model and learn its dimension."""
        super().setup()
        from workers.models.onnx_session import open_session  # noqa: PLC0415  (loaded in setup)

        path = Path(self.model).expanduser()
        if not path.is_file():
            raise OptionError("OnnxImageEncoder", (f"model: there is no file {path}",))
        self._session = open_session(str(path))
        pixels = self._session.get_inputs()[0]
        self._input, shape = pixels.name, pixels.shape
        self._is_last = shape[-1] == 3  # noqa: PLR2004  (channels at the end)
        height, width = shape[1:3] if self._is_last else shape[2:4]
        known = [side if isinstance(side, int) else self.size for side in (width, height)]
        self._size = (known[0], known[1])
        self._one = shape[0] if isinstance(shape[0], int) else 0
        self._bytes = pixels.type == "tensor(uint8)"
        self.output = self.output or self._session.get_outputs()[0].name
        self.dim = self.rows([np.zeros((8, 8, 3), np.uint8)]).shape[1]

    def rows(self, pictures: Sequence[NDArray[np.uint8]]) -> Floats:
        """Return what the model makes of the pictures; a fixed batch is filled up."""
        size = self._one or len(pictures)
        made: list[NDArray[Any]] = []
        for start in range(0, len(pictures), size):
            part = pictures[start : start + size]
            pixels = self._pixels(part)
            missing = size - len(part)
            pixels = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
            (rows,) = self._session.run([self.output], {self._input: pixels})
            rows = rows.reshape(len(rows), rows.shape[1], -1).mean(axis=2)
            made.append(rows[: len(part)])
        return np.concatenate(made).astype(np.float32, copy=False)

    def fingerprint(self) -> str:
        """Return the hash of the file and of the options that shape vectors."""
        shaping = {k: v for k, v in self.shaping_options().items() if k != "model"}
        return digest("OnnxImageEncoder", file_digest(Path(self.model).expanduser()), shaping)

    def _pixels(self, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[Any]:
        if self._bytes:
            small = [self._pictures.resized(picture, *self._size) for picture in pictures]
            pixels: NDArray[Any] = np.stack(small).transpose(0, 3, 1, 2)
        else:
            pixels = self.scaled(pictures, self._size, self.mean, self.spread)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)) if self._is_last else pixels


def _squared(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture as a square, filled up in its border's colour: nothing is squeezed."""
    height, width = picture.shape[:2]
    if height == width:
        return picture
    edges = (picture[0], picture[-1], picture[:, 0], picture[:, -1])
    side = max(height, width)
    square = np.empty((side, side, 3), np.uint8)
    square[:] = np.median(np.concatenate(edges), axis=0)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = picture
    return square


@cache
def _centred_names() -> tuple[Floats, Floats]:
    """Return MiniLM's embeddings of ImageNet's class names minus their mean, and the mean.

    Once a process: a worker may hold the branches of texts, images and films.
    """
    from workers.models.class_names import imagenet_names  # noqa: PLC0415  (reads a package)

    model = MiniLM()
    model.setup()
    names = imagenet_names("ConSE")
    rows = model.encode([Chunk(position, text=name) for position, name in enumerate(names)])
    mean = rows.mean(axis=0)
    return np.asarray(rows - mean, np.float32), np.asarray(mean, np.float32)
