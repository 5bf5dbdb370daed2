"""Every engine keeps the contract; the registry knows them by name."""

from typing import ClassVar

import pytest

from indexstore.engines import create
from indexstore.errors import EngineError
from indexstore.model import IndexConfig
from tests.indexstore.engine_contract import EngineContract


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2", "hamming"])
class TestExact(EngineContract):
    """The engine that looks at everything."""

    name = "exact"
    recall: ClassVar[float] = 1.0


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
class TestHnsw(EngineContract):
    """The default engine."""

    name = "hnsw"


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    """A typo in the flow is told what was probably meant."""
    with pytest.raises(EngineError, match="did you mean 'hnsw'"):
        create(IndexConfig("v", engine="hnws"), dim=4)


def test_a_metric_that_an_engine_lacks_is_refused() -> None:
    """HNSW compares no signs."""
    with pytest.raises(EngineError, match="metric 'hamming'"):
        create(IndexConfig("v", engine="hnsw", metric="hamming"), dim=4)
