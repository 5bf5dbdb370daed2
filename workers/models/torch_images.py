"""Networks of images in torch, from a folder: what they are follows from what lies there."""

import difflib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from workers.models.image_folder import preprocessor_of, side_of
from workers.models.weights import read_weights

_WEIGHTS = (".pth", ".pt", ".bin")
_GRAPHS = (".pt", ".pts", ".ts", ".torchscript", ".pt2", ".ep")
_EXPORTED = (".pt2", ".ep")


@dataclass(frozen=True, slots=True)
class Network:
    """A network, and how its folder says that pictures are scaled; None where it says nothing."""

    module: Callable[[Any], Any]
    mean: tuple[float, ...] | None = None
    spread: tuple[float, ...] | None = None
    size: int | None = None


def open_network(path: Path, name: str | None) -> Network:
    """Return the network of a folder or file, in inference mode, on the CPU.

    Args:
        path: a folder with config.json and *.safetensors (transformers), with weights of an
            architecture that torchvision knows, or with one program (TorchScript or torch.export);
            or the file itself.
        name: torchvision's name of the architecture; None where the file is a whole program.

    Raises:
        ValueError: there is nothing of the kind, or it cannot be read.
        ModuleNotFoundError: transformers or torchvision is needed and not installed.
    """
    if not path.exists():
        raise ValueError(f"there is no {path}")
    if name is not None:
        return Network(_architecture(path, name))
    if (path / "config.json").is_file():
        return _pretrained(path)
    return Network(_program(_only(path, _GRAPHS, "one program (TorchScript or torch.export)")))


def _pretrained(folder: Path) -> Network:
    import transformers  # noqa: PLC0415  (only folders of its own need it)

    model, loading = transformers.AutoModel.from_pretrained(
        folder, local_files_only=True, output_loading_info=True
    )
    missing = sorted(loading["missing_keys"])
    if any("pooler" not in key for key in missing):
        raise ValueError(f"the weights lack {missing[0]} and {len(missing) - 1} others")
    if missing:  # what was not trained would be drawn by lot
        model.pooler = None
    told = preprocessor_of(folder)
    mean, spread = told.get("image_mean"), told.get("image_std")
    return Network(
        model.eval().float(),
        tuple(mean) if mean else None,
        tuple(spread) if spread else None,
        side_of(told) or side_of({"size": getattr(model.config, "image_size", None)}),
    )


def _architecture(path: Path, name: str) -> torch.nn.Module:
    """Return one of torchvision's architectures with the weights of a file."""
    file = _only(path, (*_WEIGHTS, ".safetensors"), f"weights of {name}", begins=name)
    import torchvision  # noqa: PLC0415  (only this needs it)

    known = torchvision.models.list_models()
    if name not in known:
        near = ", ".join(difflib.get_close_matches(name, known)) or f"{known[0]} to {known[-1]}"
        raise ValueError(f"model_name: torchvision has no {name!r}; it has {near}")
    extra = {"init_weights": False} if name in {"inception_v3", "googlenet"} else {}
    model: torch.nn.Module = torchvision.models.get_model(name, weights=None, **extra)
    try:
        model.load_state_dict(_state(file))
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ValueError(f"{file} is not {name}: {' '.join(lines[:2])[:300]}") from error
    return model.eval().float()


def _state(file: Path) -> dict[str, Any]:
    if file.suffix == ".safetensors":
        return {name: torch.from_numpy(a.copy()) for name, a in read_weights(file.parent).items()}
    try:
        found = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises anything on what it cannot read
        raise ValueError(f"{file} holds no weights that can be read: {error}") from error
    return dict(found.get("state_dict", found))


def _program(file: Path) -> Callable[[Any], Any]:
    """Return a program that carries its own graph."""
    try:
        if file.suffix in _EXPORTED:
            module: Any = torch.export.load(file).module()
            return module  # type: ignore[no-any-return]  # a module is called like one
        with warnings.catch_warnings():  # torch would have its own format of today
            warnings.simplefilter("ignore", DeprecationWarning)
            module = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]
        return module.eval().float()  # type: ignore[no-any-return]  # as above
    except Exception as error:  # torch raises anything on what it cannot read
        raise ValueError(
            f"{file} is no program of torch ({str(error).partition(chr(10))[0]}); weights alone"
            " need model_name, the name of their architecture in torchvision"
        ) from error


def _only(path: Path, endings: tuple[str, ...], what: str, *, begins: str = "") -> Path:
    """Return the one file of a folder with such an ending, the best named one first."""
    if path.is_file():
        return path
    files = sorted(file for file in path.rglob("*") if file.suffix in endings)
    named = [file for file in files if file.stem.lower().startswith(begins.lower())]
    chosen = named if begins and named else files
    if len(chosen) != 1:
        found = ", ".join(file.name for file in chosen) or "nothing of the kind"
        raise ValueError(f"{path} must hold {what}; found {found}")
    return chosen[0]
