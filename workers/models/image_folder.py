"""What a folder says about the pictures its model takes: preprocessor_config.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def preprocessor_of(folder: Path) -> Mapping[str, Any]:
    """Return what the file says; nothing when there is none."""
    file = folder / "preprocessor_config.json"
    told = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return told if isinstance(told, Mapping) else {}


def side_of(told: Mapping[str, Any]) -> int | None:
    """Return the side of pictures that it asks for."""
    for key in ("crop_size", "size"):
        size = told.get(key)
        if isinstance(size, Mapping):
            size = size.get("height") or size.get("shortest_edge")
        if isinstance(size, int):
            return size
    return None
