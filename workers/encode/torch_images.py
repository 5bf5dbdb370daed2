"""Any model of images in torch, from a folder; its layers by the names GNES gave them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from workers.component import Floats, digest
from workers.encode.pictures import Fit, Frames, PictureEncoder, Pixels, Precision, fitted_to
from workers.errors import MissingLibraryError, OptionError
from workers.models.layers import Layer, tensor_of
from workers.models.weights import path_digest

_MEAN, _SPREAD, _SIDE = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 224
_CURES = {
    "torch": "torch==2.13.0",
    "transformers": "transformers==5.23.0",
    "torchvision": "torchvision, in the release that belongs to your torch",
}
_MAP, _TOKENS = 4, 3


class TorchImageEncoder(PictureEncoder):
    """Any torch model of images from a folder, on the GPU in half precision where there is one.

    The folder holds a model of transformers (config.json, *.safetensors: ViT, DINOv2, ResNet, ...),
    a program (TorchScript or torch.export), or weights of one of torchvision's architectures, which
    model_name names. A plug-in that subclasses it and overrides ``network`` brings any other.

    Args:
        model_dir: the folder, or the file in it.
        model_name: torchvision's name of the architecture, where the folder holds weights alone.
        layers: the way through the model, one layer after another: paths of modules (features,
            classifier[0]) or expressions on x (x.mean([2, 3]), torch.flatten(x, 1)). By default the
            whole model. What has more dimensions than one row a picture is averaged.
        mean: taken off each channel of values in [0, 1]; by default the folder's, or ImageNet's.
        spread: what each channel is divided by then.
        size: width and height of the pictures; by default the folder's, or 224.
        fit: how a picture becomes a square: squeeze, crop its middle, or pad it in its border's
            colour.
        frames: of several frames of a shot: their mean, their max, or none to keep them all.
        device: auto, cpu, cuda, cuda:1, mps; auto is the GPU where there is one.
        precision: what it multiplies in; auto is half precision on a GPU, float32 elsewhere.
        batch_size: pictures at once; 0 takes as many as the GPU's memory holds.
    """

    aliases: ClassVar[tuple[str, ...]] = ("TorchvisionEncoder",)
    speed_options = ("device", "precision", "batch_size")

    def __init__(  # noqa: PLR0913  (the options of YAML)
        self,
        *,
        model_dir: str,
        model_name: str | None = None,
        layers: Sequence[str] = (),
        mean: Sequence[float] | None = None,
        spread: Sequence[float] | None = None,
        size: int | None = None,
        fit: Fit = "squeeze",
        frames: Frames = "mean",
        device: str = "auto",
        precision: Precision = "auto",
        batch_size: int = 0,
    ) -> None:
        if batch_size < 0 or (size is not None and size < 1) or min(spread or (1,)) <= 0:
            raise ValueError("size and spread are over 0, batch_size is at least 0")
        self.model_dir, self.model_name = model_dir, model_name
        self.layers = tuple(Layer(layer) for layer in layers)
        self.mean, self.spread, self.size, self.fit = mean, spread, size, fit
        self.frames, self.device, self.precision = frames, device, precision
        self.batch_size = batch_size
        self._digest = ""

    def network(self) -> Any:
        """Return the network as workers.models.torch_images.Network; called once, in set-up."""
        from workers.models.torch_images import open_network  # noqa: PLC0415  (torch is optional)

        return open_network(Path(self.model_dir).expanduser(), self.model_name)

    def setup(self) -> None:
        """Load the model and learn its dimension."""
        super().setup()
        title = type(self).names()[0]
        try:
            import torch  # noqa: PLC0415  (optional)

            from workers.models.torch_device import TorchDevice  # noqa: PLC0415  (as above)

            self._device = TorchDevice.choose(self.device, self.precision)
            found = self.network()
        except ModuleNotFoundError as error:
            library = str(error.name)
            cure = _CURES.get(library, library)
            raise MissingLibraryError(title, library, cure) from error
        except (ValueError, OSError) as error:
            raise OptionError(title, (f"model_dir: {error}",)) from error
        self._torch = torch
        module = found.module
        self._module = module.to(self._device.device) if hasattr(module, "to") else module
        self.mean = self.mean or found.mean or _MEAN
        self.spread = self.spread or found.spread or _SPREAD
        side = self.size or found.size or _SIDE
        self._size = (side, side)
        self.batches = self._device.batches(self.batch_size)
        self.dim = self._probed(title)

    def rows(self, pictures: Sequence[Pixels]) -> Floats:
        """Return what the model, or its last layer, makes of the pictures."""
        squares = [fitted_to(picture, self.fit) for picture in pictures]
        pixels = self.scaled(squares, self._size, self.mean or _MEAN, self.spread or _SPREAD)
        with self._torch.inference_mode(), self._device.mixed():
            x: Any = self._torch.from_numpy(pixels).to(self._device.device)
            if not self.layers:
                x = tensor_of(self._module(x))
            for layer in self.layers:
                x = layer(self._module, x)
            return np.asarray(_pooled(x).float().cpu().numpy())

    def fingerprint(self) -> str:
        """Return the hash of the folder and of the options that shape vectors."""
        if not self._digest:
            self._digest = path_digest(Path(self.model_dir).expanduser())
        shaping = {k: v for k, v in self.shaping_options().items() if k != "model_dir"}
        return digest(type(self).names()[0], self.version, self._digest, shaping)

    def _probed(self, title: str) -> int:
        """Return the dimension that a picture comes out with.

        Raises:
            OptionError: it does not come out.
        """
        try:
            return int(self.rows([np.zeros((8, 8, 3), np.uint8)]).shape[1])
        except (ValueError, RuntimeError, TypeError, IndexError) as error:
            raise OptionError(
                title, (f"a picture does not pass through the model: {error}",)
            ) from error


def _pooled(x: Any) -> Any:
    """Return a row a picture: the mean over a map's places, or over tokens."""
    if x.ndim >= _MAP:
        return x.flatten(2).mean(dim=2)
    return x.mean(dim=1) if x.ndim == _TOKENS else x
