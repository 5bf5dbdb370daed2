"""Which engine a flow file means by a name."""

import importlib
import inspect
from collections.abc import Iterator
from importlib.metadata import entry_points
from typing import Any

from indexstore.engines.base import Engine
from indexstore.engines.bm25 import Bm25Engine
from indexstore.errors import EngineError
from indexstore.model import IndexConfig
from indexstore.names import unknown
from indexstore.plugins import load_plugin

# Imported when first asked for: a process pays only for the libraries it uses.
ENGINES = {
    "exact": "indexstore.engines.exact:ExactEngine",
    "hnsw": "indexstore.engines.hnsw:HnswEngine",
    "hnswlib": "indexstore.engines.hnswlib:HnswlibEngine",
    "faiss": "indexstore.engines.factory:FactoryEngine",
    "binary": "indexstore.engines.binary:BinaryEngine",
    "buckets": "indexstore.engines.buckets:BucketsEngine",
}
#: Other distributions add engines under this group: name = "package.module:Class".
ENTRY_POINTS = "gnes.components"
SHARD_OPTIONS = frozenset({"score"})  # options of the index that are no engine's business


def text_engine(config: IndexConfig) -> Bm25Engine:
    """Make the full-text engine that an index asks for, empty.

    Raises:
        EngineError: it is not called bm25, or has no such option.
    """
    if config.engine != "bm25":
        raise EngineError(config.engine, unknown("full-text engine", config.engine, ["bm25"]))
    return Bm25Engine(_own_options(config))


def _own_options(config: IndexConfig) -> dict[str, Any]:
    return {key: value for key, value in config.options.items() if key not in SHARD_OPTIONS}


def create(config: IndexConfig, *, dim: int) -> Engine:
    """Make the engine that an index asks for, not yet built or opened.

    Raises:
        EngineError: nothing goes by that name, or it has no such option or metric.
        PluginFileError: a ``py_path`` file cannot be loaded.
    """
    kind = next(_candidates(config), None)
    if kind is None:
        raise EngineError(config.engine, unknown("engine", config.engine, ENGINES))
    if not (inspect.isclass(kind) and issubclass(kind, Engine)) or inspect.isabstract(kind):
        missing = ", ".join(sorted(getattr(kind, "__abstractmethods__", ())))
        raise EngineError(config.engine, f"it is no finished Engine (it lacks {missing or 'all'})")
    return kind(dim=dim, metric=config.metric, options=_own_options(config))


def _candidates(config: IndexConfig) -> Iterator[Any]:
    """Yield what has the engine's name: plug-in files, the last first, then the house's own."""
    for path in reversed(config.py_path):
        found = getattr(load_plugin(path), config.engine, None)
        if inspect.isclass(found) and issubclass(found, Engine):
            yield found
    if config.engine in ENGINES:
        yield _imported(ENGINES[config.engine])
    for point in entry_points(group=ENTRY_POINTS, name=config.engine):
        yield point.load()
    if "." in config.engine or ":" in config.engine:
        yield _imported(config.engine)


def _imported(path: str) -> Any:
    """Return what ``package.module:Class`` (or with a dot) names."""
    module, _, name = path.replace(":", ".").rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise EngineError(path, f"it cannot be imported ({error})") from error
