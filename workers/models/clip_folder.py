"""CLIP's two towers from a folder of transformers: CLIP, SigLIP, and what has the same methods."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from workers.component import Floats
from workers.models.clip_towers import MEAN, SPREAD, Towers
from workers.models.image_folder import preprocessor_of, side_of
from workers.models.torch_device import TorchDevice


class FolderTowers(Towers):
    """The towers of a folder with config.json, *.safetensors and a tokenizer.

    Raises:
        ValueError: it has no two towers, or lacks weights.
    """

    def __init__(self, folder: Path, device: TorchDevice) -> None:
        model, loading = transformers.AutoModel.from_pretrained(
            folder, local_files_only=True, output_loading_info=True
        )
        if not (hasattr(model, "get_text_features") and hasattr(model, "get_image_features")):
            raise ValueError(f"{folder} holds a {model.config.model_type}, which has no two towers")
        if loading["missing_keys"]:
            raise ValueError(f"{folder}: the weights lack {min(loading['missing_keys'])}")
        self._device = device
        self._model = model.eval().float().to(device.device)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # SigLIP was trained on texts filled up to their full length.
        self._padding = "max_length" if "siglip" in model.config.model_type else "longest"
        self._length = int(model.config.text_config.max_position_embeddings)
        told = preprocessor_of(folder)
        self.side = side_of(told) or int(model.config.vision_config.image_size)
        self.mean, self.spread = told.get("image_mean", MEAN), told.get("image_std", SPREAD)
        self.crops = bool(told.get("do_center_crop", self._padding == "longest"))
        self.dim = self.texts(["text"])[0].shape[1]

    def images(self, pixels: Floats) -> Floats:
        """Return the image tower's rows of scaled pixels (n, 3, side, side)."""
        with torch.inference_mode(), self._device.mixed():
            given = torch.from_numpy(pixels).to(self._device.device)
            return _rows(self._model.get_image_features(pixel_values=given))

    def texts(self, texts: Sequence[str]) -> tuple[Floats, int]:
        """Return the text tower's rows, and how many texts were cut."""
        whole = self._tokenizer(list(texts))["input_ids"]
        tokens = self._tokenizer(
            list(texts), padding=self._padding, truncation=True, max_length=self._length,
            return_tensors="pt",
        ).to(self._device.device)  # fmt: skip
        with torch.inference_mode(), self._device.mixed():
            rows = _rows(self._model.get_text_features(**tokens))
        return rows, sum(len(ids) > self._length for ids in whole)


def _rows(output: Any) -> Floats:
    rows = getattr(output, "pooler_output", output)
    return np.asarray(rows.float().cpu().numpy())
