"""CLIP's two towers from a checkpoint, by the code of clip-anytorch.

Of that package only the model and the tokenizer are loaded, each from its own file: the package
itself would import torchvision and pkg_resources, which nothing here needs (docs/adr/0010).
"""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from workers.component import Floats
from workers.models.clip_tokens import Tokenizer, part
from workers.models.clip_towers import MEAN, SPREAD, Towers
from workers.models.torch_device import TorchDevice


class CheckpointTowers(Towers):
    """The towers of a file: a state dict, or the archive that OpenAI published.

    Raises:
        ValueError: the file is neither, or none of CLIP.
    """

    mean, spread = MEAN, SPREAD

    def __init__(self, path: Path, device: TorchDevice) -> None:
        weights = _weights(path)
        model = part("model").build_model(weights)
        self._device = device
        self._model = model.float().to(device.device)
        self._tokenizer = Tokenizer()
        self.dim = int(weights["text_projection"].shape[1])
        self.side = int(self._model.visual.input_resolution)
        self._length = int(self._model.context_length)

    def images(self, pixels: Floats) -> Floats:
        """Return the image tower's rows of scaled pixels (n, 3, side, side)."""
        with torch.inference_mode(), self._device.mixed():
            rows = self._model.encode_image(torch.from_numpy(pixels).to(self._device.device))
        return np.asarray(rows.float().cpu().numpy())

    def texts(self, texts: Sequence[str]) -> tuple[Floats, int]:
        """Return the text tower's rows, and how many texts were cut."""
        tokens, cut = self._tokenizer(texts, self._length)
        with torch.inference_mode(), self._device.mixed():
            rows = self._model.encode_text(torch.from_numpy(tokens).to(self._device.device))
        return np.asarray(rows.float().cpu().numpy()), cut


def _weights(path: Path) -> dict[str, Any]:
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  (torch raises anything on what it cannot read)
        try:
            with warnings.catch_warnings():  # torch would have its own format of today
                warnings.simplefilter("ignore", DeprecationWarning)
                archive = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
            found = archive.state_dict()
        except RuntimeError:
            raise ValueError(f"{path} is no checkpoint that can be read: {error}") from None
    weights = dict(found.get("state_dict", found)) if isinstance(found, dict) else {}
    if "text_projection" not in weights:
        raise ValueError(f"{path} is no checkpoint of CLIP: it has no text_projection")
    return weights
