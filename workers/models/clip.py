"""CLIP's two towers from a checkpoint, by the code of clip-anytorch.

Of that package only the model and the tokenizer are loaded, each from its own file: the package
itself would import torchvision and pkg_resources, which nothing here needs (docs/adr/0010).
"""

import importlib.util
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

PACKAGE = "clip"
#: How CLIP's training scaled pixels, per channel and of values in [0, 1].
MEAN = (0.48145466, 0.4578275, 0.40821073)
SPREAD = (0.26862954, 0.26130258, 0.27577711)


class Clip:
    """A checkpoint's towers, in inference mode; on the GPU, in half precision, if there is one."""

    def __init__(self, path: Path) -> None:
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        weights = _weights(path)
        model = _part("model").build_model(weights).to(self.device)
        self._model = model if self.device == "cuda" else model.float()
        self._tokenizer = _part("simple_tokenizer").SimpleTokenizer()
        self.dim = int(weights["text_projection"].shape[1])
        self.side = int(self._model.visual.input_resolution)
        self._length = int(self._model.context_length)

    def images(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the image tower's rows of scaled pixels (n, 3, side, side)."""
        with torch.inference_mode():
            given = torch.from_numpy(pixels).to(self.device, self._model.dtype)
            return np.asarray(self._model.encode_image(given).float().cpu().numpy())

    def texts(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """Return the text tower's rows, and how many texts were cut."""
        start, end = (self._tokenizer.encoder[f"<|{w}oftext|>"] for w in ("start", "end"))
        tokens = torch.zeros(len(texts), self._length, dtype=torch.long)
        cut = 0
        for row, text in enumerate(texts):
            ids = self._tokenizer.encode(text)
            cut += len(ids) > self._length - 2
            ids = [start, *ids[: self._length - 2], end]
            tokens[row, : len(ids)] = torch.tensor(ids)
        with torch.inference_mode():
            rows = self._model.encode_text(tokens.to(self.device))
        return np.asarray(rows.float().cpu().numpy()), cut


def _weights(path: Path) -> dict[str, Any]:
    """Return a checkpoint's tensors: a state dict, or the archive that OpenAI published.

    Raises:
        ValueError: it is neither, or none of CLIP.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  (torch raises anything on what it cannot read)
        try:
            with warnings.catch_warnings():  # torch would have its own format of today
                warnings.simplefilter("ignore", DeprecationWarning)
                archive = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]
            found = archive.state_dict()
        except RuntimeError:
            raise ValueError(f"no checkpoint that can be read: {error}") from None
    weights = dict(found.get("state_dict", found)) if isinstance(found, dict) else {}
    if "text_projection" not in weights:
        raise ValueError("no checkpoint of CLIP: it has no text_projection")
    return weights


def _part(name: str) -> ModuleType:
    """Load one file of the package, without the package."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"No module named {PACKAGE!r}", name=PACKAGE)
    path = Path(found.origin).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(f"gnes_clip_{name}", path)
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"{path} cannot be loaded", name=PACKAGE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
