"""Plug-in files: Python that an operator named, imported under a name of its own."""

import hashlib
import importlib.util
import sys
import threading
import traceback
from pathlib import Path
from types import ModuleType

from indexstore.errors import PluginFileError

_loading = threading.RLock()  # a plug-in may name another


def load_plugin(path: str | Path) -> ModuleType:
    """Import a plug-in file; the same content is imported once, changed content beside the old.

    Raises:
        PluginFileError: the file is missing, or raised while it was imported.
    """
    file = Path(path).resolve()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise PluginFileError(str(path), f"{type(error).__name__}: {error}") from error
    key = hashlib.sha256(str(file).encode() + b"\0" + content).hexdigest()[:12]
    name = f"gnes_plugin_{key}_{file.stem}"
    with _loading:
        return sys.modules.get(name) or _import_file(file, name)


def _import_file(file: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PluginFileError(str(file), "not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the like look their module up while it loads
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise PluginFileError(str(file), traceback.format_exc()) from error
    return module
