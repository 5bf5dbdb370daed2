"""A local Hugging Face or sentence-transformers folder: what it says about itself."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from workers.errors import OptionError

Pooling = Literal["mean", "max", "mean-max", "cls"]

#: Where sentence-transformers keeps the length its model was trained on.
_LENGTH_FILES = ("sentence_bert_config.json", "sentence_roberta_config.json")
_FALLBACK_TOKENS = 512
_PREFIX = "pooling_mode_"
_POOLINGS: Mapping[frozenset[str], Pooling] = {
    frozenset(["mean_tokens"]): "mean",
    frozenset(["max_tokens"]): "max",
    frozenset(["mean_tokens", "max_tokens"]): "mean-max",
    frozenset(["cls_token"]): "cls",
}
_MODULES = ("Transformer", "Pooling", "Dense", "Normalize")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The configuration of a model folder; weights and tokenizer stay on disk.

    Attributes:
        path: the folder with the transformer itself.
        config: its config.json.
        pooling: how its sentence-transformers files pool tokens; None when it has none.
        dense: folders of dense layers behind the pooling, in order.
        max_tokens: the longest text in tokens that it takes.
    """

    path: Path
    config: Mapping[str, Any]
    pooling: Pooling | None
    dense: tuple[Path, ...]
    max_tokens: int

    @classmethod
    def read(cls, path: str | Path, *, component: str) -> "ModelFolder":
        """Read the small files of a folder.

        Raises:
            OptionError: it is no model folder, or holds a module that is not known here.
        """
        root = Path(path).expanduser()
        modules = _list(root / "modules.json")
        try:
            inner = root / _paths(modules, "Transformer")[0] if modules else root
            config = _json(inner / "config.json")
            return cls(
                path=inner,
                config=config,
                pooling=_pooling(root, modules),
                dense=tuple(root / name for name in _paths(modules, "Dense")),
                max_tokens=_max_tokens(inner, config),
            )
        except (ValueError, OSError) as error:
            raise OptionError(component, (f"model_dir {str(root)!r}: {error}",)) from error


def _json(file: Path) -> dict[str, Any]:
    loaded = json.loads(file.read_text("utf-8"))
    if not isinstance(loaded, dict):
        raise ValueError(f"{file.name} is no JSON object")  # noqa: TRY004  (a file's content)
    return loaded


def _list(file: Path) -> list[dict[str, Any]]:
    loaded = json.loads(file.read_text("utf-8")) if file.is_file() else []
    return loaded if isinstance(loaded, list) else []


def _paths(modules: list[dict[str, Any]], kind: str) -> list[str]:
    """Return the folders of the modules of one kind; modules of unknown kinds are refused."""
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    unknown = [name for name in kinds if name not in _MODULES]
    if unknown:
        raise ValueError(f"modules of type {', '.join(unknown)} are not supported")
    found = [
        str(module.get("path", ""))
        for module, name in zip(modules, kinds, strict=True)
        if name == kind
    ]
    if kind == "Transformer" and len(found) != 1:
        raise ValueError("modules.json must name one Transformer")
    return found


def _pooling(root: Path, modules: list[dict[str, Any]]) -> Pooling | None:
    paths = _paths(modules, "Pooling")
    if not paths:
        return None
    config = _json(root / paths[0] / "config.json")
    modes = frozenset(
        name.removeprefix(_PREFIX)
        for name, value in config.items()
        if name.startswith(_PREFIX) and value is True
    )
    if modes not in _POOLINGS:
        raise ValueError(f"pooling by {', '.join(sorted(modes)) or 'nothing'} is not supported")
    return _POOLINGS[modes]


def _max_tokens(root: Path, config: Mapping[str, Any]) -> int:
    """Return the smallest of what the model's files allow."""
    positions = int(
        config.get("max_position_embeddings") or config.get("n_positions") or _FALLBACK_TOKENS
    )
    if str(config.get("model_type")) in ("roberta", "xlm-roberta", "camembert"):
        positions -= int(config.get("pad_token_id") or 0) + 1  # these positions stand for padding
    given = [_json(root / name) for name in _LENGTH_FILES if (root / name).is_file()]
    return min([positions, *(int(entry.get("max_seq_length") or positions) for entry in given)])
