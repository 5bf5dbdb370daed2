"""Which engine a flow file means by a name."""

import importlib
from typing import Any

from indexstore.engines.base import Engine
from indexstore.engines.bm25 import Bm25Engine
from indexstore.errors import EngineError
from indexstore.model import IndexConfig
from indexstore.names import unknown

# Imported when first asked for: a process pays only for the libraries it uses.
ENGINES = {
    "exact": "indexstore.engines.exact:ExactEngine",
    "hnsw": "indexstore.engines.hnsw:HnswEngine",
    "hnswlib": "indexstore.engines.hnswlib:HnswlibEngine",
    "faiss": "indexstore.engines.factory:FactoryEngine",
    "binary": "indexstore.engines.binary:BinaryEngine",
}
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
    """
    if config.engine not in ENGINES:
        raise EngineError(config.engine, unknown("engine", config.engine, ENGINES))
    module, _, name = ENGINES[config.engine].partition(":")
    kind: Any = getattr(importlib.import_module(module), name)
    engine: Engine = kind(dim=dim, metric=config.metric, options=_own_options(config))
    return engine
