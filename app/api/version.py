"""The version of this installation."""

import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PROJECT = Path(__file__).resolve().parent.parent.parent / "pyproject.toml"


def _installed() -> str:
    """Return the version of the package, or of the checkout that runs without being installed."""
    try:
        return version("gnes-celery")
    except PackageNotFoundError:
        project: dict[str, Any] = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))
        return str(project["project"]["version"])


VERSION = _installed()
