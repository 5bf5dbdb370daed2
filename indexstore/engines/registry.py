"""Which engine a flow file means by a name."""

import importlib
from typing import Any

from indexstore.engines.base import Engine
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


def create(config: IndexConfig, *, dim: int) -> Engine:
    """Make the engine that an index asks for, not yet built or opened.

    Raises:
        EngineError: nothing goes by that name, or it has no such option or metric.
    """
    if config.engine not in ENGINES:
        raise EngineError(config.engine, unknown("engine", config.engine, ENGINES))
    module, _, name = ENGINES[config.engine].partition(":")
    kind: Any = getattr(importlib.import_module(module), name)
    options = {k: v for k, v in config.options.items() if k not in SHARD_OPTIONS}
    engine: Engine = kind(dim=dim, metric=config.metric, options=options)
    return engine
