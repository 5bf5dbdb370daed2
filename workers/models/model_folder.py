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


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The configuration of a model folder; weights and tokenizer stay on disk.

    Attributes:
        path: the folder.
        config: its config.json.
        pooling: how its sentence-transformers files pool tokens; None when it has none.
        normalize: whether they end in a normalisation.
        max_tokens: the longest text in tokens that it takes.
    """

    path: Path
    config: Mapping[str, Any]
    pooling: Pooling | None
    normalize: bool
    max_tokens: int

    @classmethod
    def read(cls, path: str | Path, *, component: str) -> "ModelFolder":
        """Read the small files of a folder.

        Raises:
            OptionError: it is no model folder.
        """
        root = Path(path).expanduser()
        if not (root / "config.json").is_file():
            raise OptionError(component, (f"model_dir {str(root)!r} holds no config.json",))
        config = _json(root / "config.json")
        modules = _list(root / "modules.json")
        return cls(
            path=root,
            config=config,
            pooling=_pooling(root, modules),
            normalize=any(str(module["type"]).endswith("Normalize") for module in modules),
            max_tokens=_max_tokens(root, config),
        )

    @property
    def tokenizer_file(self) -> Path:
        """The fast tokenizer's file."""
        return self.path / "tokenizer.json"


def _json(file: Path) -> dict[str, Any]:
    loaded = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return loaded if isinstance(loaded, dict) else {}


def _list(file: Path) -> list[dict[str, Any]]:
    loaded = json.loads(file.read_text("utf-8")) if file.is_file() else []
    return loaded if isinstance(loaded, list) else []


def _pooling(root: Path, modules: list[dict[str, Any]]) -> Pooling | None:
    for module in modules:
        if str(module["type"]).endswith("Pooling"):
            modes = _json(root / str(module["path"]) / "config.json")
            is_mean, is_max = (
                modes.get("pooling_mode_mean_tokens"),
                modes.get("pooling_mode_max_tokens"),
            )
            if modes.get("pooling_mode_cls_token"):
                return "cls"
            if is_mean and is_max:
                return "mean-max"
            return "max" if is_max else "mean"
    return None


def _max_tokens(root: Path, config: Mapping[str, Any]) -> int:
    """Return the smallest of what the model's files allow."""
    pad = int(config.get("pad_token_id") or 0)
    reserved = pad + 1 if str(config.get("model_type")) not in ("bert", "electra") else 0
    limits = [int(config.get("max_position_embeddings", _FALLBACK_TOKENS)) - reserved]
    if "n_positions" in config:
        limits = [int(config["n_positions"])]
    limits += [int(_json(root / name).get("max_seq_length") or limits[0]) for name in _LENGTH_FILES]
    return min(limits)
