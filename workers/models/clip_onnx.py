"""CLIP's two towers as two ONNX models in a folder; no torch."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats
from workers.models.clip_towers import MEAN, SPREAD, Towers
from workers.models.image_folder import preprocessor_of, side_of
from workers.models.onnx_images import PictureInput
from workers.models.onnx_session import open_session
from workers.models.tokens import load_tokenizer

_LENGTH, _SIDE = 77, 224
_IMAGE, _TEXT = ("visual", "vision", "image"), ("text",)


class OnnxTowers(Towers):
    """The towers of a folder with two models, told apart by their names, and a tokenizer.

    Known are the layouts of clip-as-service (visual.onnx, textual.onnx) and of Optimum
    (vision_model.onnx, text_model.onnx, tokenizer.json, preprocessor_config.json). Without
    tokenizer.json the text is cut by OpenAI's tokenizer, which clip-anytorch carries.

    Raises:
        ValueError: the folder has not these files, or their models are no towers.
    """

    def __init__(self, folder: Path, device: str) -> None:
        self._image = open_session(str(_tower(folder, _IMAGE)), device=device)
        self._text = open_session(str(_tower(folder, _TEXT)), device=device)
        told = preprocessor_of(folder)
        self._pixels = PictureInput.of(self._image, side_of(told) or _SIDE)
        self.side = self._pixels.size[0]
        self.mean, self.spread = told.get("image_mean", MEAN), told.get("image_std", SPREAD)
        self.crops = bool(told.get("do_center_crop", True))
        self._ids, *others = self._text.get_inputs()
        self._mask = next((i.name for i in others if "mask" in i.name), None)
        length = self._ids.shape[1]
        self._length = length if isinstance(length, int) else _LENGTH
        self._tokenize = _tokenizer(folder)
        self._outputs = _output(self._image, "image_embeds"), _output(self._text, "text_embeds")
        self.dim = self.texts(["text"])[0].shape[1]

    def images(self, pixels: Floats) -> Floats:
        """Return the image tower's rows of scaled pixels (n, 3, side, side)."""
        return self._pixels.run(self._image, self._outputs[0], pixels)

    def texts(self, texts: Sequence[str]) -> tuple[Floats, int]:
        """Return the text tower's rows, and how many texts were cut."""
        tokens, mask, cut = self._tokenize(texts, self._length)
        kind = np.int32 if "int32" in self._ids.type else np.int64
        feeds = {self._ids.name: tokens.astype(kind)}
        if self._mask is not None:
            feeds[self._mask] = mask.astype(kind)
        (rows,) = self._text.run([self._outputs[1]], feeds)
        return np.asarray(rows, np.float32), cut


class _JsonTokenizer:
    """A tokenizer.json; texts are filled up to their full length."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = load_tokenizer(folder)
        self._pad = self._tokenizer.token_to_id(_padding(folder)) or 0

    def __call__(
        self, texts: Sequence[str], length: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
        tokens = np.full((len(texts), length), self._pad, np.int64)
        mask = np.zeros_like(tokens)
        cut = 0
        for place, text in enumerate(texts):
            ids = self._tokenizer.encode(text).ids
            if len(ids) > length:  # what ends a text must end it still
                ids, cut = [*ids[: length - 1], ids[-1]], cut + 1
            tokens[place, : len(ids)] = ids
            mask[place, : len(ids)] = 1
        return tokens, mask, cut


def _padding(folder: Path) -> str:
    """Return the token that fills up short texts; in CLIP's own folders it is the one that ends."""
    file = folder / "tokenizer_config.json"
    told = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    token = told.get("pad_token") or "<|endoftext|>"
    return str(token["content"] if isinstance(token, dict) else token)


def _tokenizer(folder: Path) -> Any:
    if (folder / "tokenizer.json").is_file():
        return _JsonTokenizer(folder)
    from workers.models.clip_tokens import Tokenizer  # noqa: PLC0415  (only other folders need it)

    tokenizer = Tokenizer()

    def tokenize(texts: Sequence[str], length: int) -> tuple[Any, Any, int]:
        tokens, cut = tokenizer(texts, length)
        return tokens, (tokens != 0).astype(np.int64), cut

    return tokenize


def _tower(folder: Path, words: tuple[str, ...]) -> Path:
    """Return the model whose name has one of these words; of several the plainest."""
    files = [file for file in folder.rglob("*.onnx") if any(w in file.stem.lower() for w in words)]
    if not files:
        raise ValueError(f"{folder} holds no .onnx file with {' or '.join(words)} in its name")
    return min(files, key=lambda file: (len(file.stem), str(file)))


def _output(session: Any, wanted: str) -> str:
    names = [output.name for output in session.get_outputs()]
    return wanted if wanted in names else names[0]
