"""Every engine keeps the contract; the registry knows them by name."""

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from indexstore.engines import create
from indexstore.errors import EngineError
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from tests.indexstore.engine_contract import EngineContract
from tests.indexstore.shard_bed import Bed, Stored, pairs


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2", "hamming"])
class TestExact(EngineContract):
    """The engine that looks at everything."""

    name = "exact"
    recall: ClassVar[float] = 1.0


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
class TestHnsw(EngineContract):
    """The default engine."""

    name = "hnsw"


@pytest.mark.optional
@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
class TestHnswlib(EngineContract):
    """The other library of the same graph."""

    name = "hnswlib"

    @pytest.fixture(autouse=True)
    def installed(self) -> None:
        """It has no wheel, so that it may be missing."""
        pytest.importorskip("hnswlib")


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
class TestInvertedLists(EngineContract):
    """Inverted lists of rows in eight bits a number."""

    name = "faiss"
    options: ClassVar[dict[str, Any]] = {"factory": "IVF16,SQ8", "nprobe": 8}
    recall: ClassVar[float] = 0.85  # before the shard refines


@pytest.mark.parametrize("metric", ["cosine", "l2"])
class TestTransformed(EngineContract):
    """Rotated, then quantised: a transform around the index."""

    name = "faiss"
    options: ClassVar[dict[str, Any]] = {"factory": "PCA12,IVF8,SQ8", "nprobe": 8}
    recall: ClassVar[float] = 0.4  # before the shard refines


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
class TestProducts(EngineContract):
    """Product quantisation alone, which faiss cannot tell what may come back."""

    name = "faiss"
    options: ClassVar[dict[str, Any]] = {"factory": "PQ8x4"}
    recall: ClassVar[float] = 0.3  # before the shard refines


@pytest.mark.parametrize("metric", ["cosine", "l2"])
class TestRotatedProducts(EngineContract):
    """The usual compression of large collections: rotated, in lists, quantised by parts."""

    name = "faiss"
    options: ClassVar[dict[str, Any]] = {"factory": "OPQ8,IVF16,PQ8x4", "nprobe": 16}
    recall: ClassVar[float] = 0.3  # before the shard refines


@pytest.mark.parametrize("metric", ["cosine", "l2"])
class TestRefined(EngineContract):
    """An index with its own refinement around it."""

    name = "faiss"
    options: ClassVar[dict[str, Any]] = {"factory": "IVF16,PQ8x4fs,RFlat", "nprobe": 16}
    recall: ClassVar[float] = 0.3  # before the shard refines


@pytest.mark.parametrize("metric", ["cosine", "l2"])
class TestGraphByFactory(EngineContract):
    """A graph over rows in eight bits a number."""

    name = "faiss"
    options: ClassVar[dict[str, Any]] = {"factory": "HNSW16,SQ8"}
    recall: ClassVar[float] = 0.85  # before the shard refines


@pytest.mark.parametrize("metric", ["hamming"])
class TestBinary(EngineContract):
    """Signs only."""

    name = "binary"
    recall: ClassVar[float] = 1.0


@pytest.mark.parametrize("engine", ["faiss", "binary"])
def test_what_an_engine_loses_the_shard_makes_good(tmp_path: Path, engine: str) -> None:
    """Candidates of a lossy engine are scored again exactly: high recall, exact scores."""
    bed, dim = Bed(tmp_path), 64
    rng = np.random.default_rng(9)
    centres = rng.standard_normal((30, dim))
    rows = (centres[rng.integers(0, 30, 2000)] + rng.standard_normal((2000, dim))).astype("f4")
    bed.put({f"d{i}": Stored(rows[i : i + 1], np.ones(1, np.float32)) for i in range(2000)})
    options = {"factory": "IVF16,PQ16x4", "nprobe": 8} if engine == "faiss" else {}
    config = IndexConfig("v", engine=engine, options=options)
    bed.build(config)
    shard = Shard.open(bed.place(config))

    found, exact = (
        dict(pairs(shard.search(ShardQuery.of(rows[:1], limit=10, spare=0, exact=way)))[0])
        for way in (False, True)
    )

    assert len(set(found) & set(exact)) >= 8
    assert {i: s for i, s in found.items() if i in exact} == {
        i: exact[i] for i in found if i in exact
    }


def test_an_index_that_faiss_does_not_know_is_refused(tmp_path: Path) -> None:
    """A wrong factory string names itself."""
    engine = create(IndexConfig("v", engine="faiss", options={"factory": "IVFF,3"}), dim=4)

    with pytest.raises(EngineError, match="IVFF,3"):
        engine.build(np.ones((3, 4), np.float32), tmp_path / "engine.bin")


def test_an_unknown_engine_is_refused_with_the_nearest_name() -> None:
    """A typo in the flow is told what was probably meant."""
    with pytest.raises(EngineError, match="did you mean 'hnsw'"):
        create(IndexConfig("v", engine="hnws"), dim=4)


def test_a_metric_that_an_engine_lacks_is_refused() -> None:
    """HNSW compares no signs."""
    with pytest.raises(EngineError, match="metric 'hamming'"):
        create(IndexConfig("v", engine="hnsw", metric="hamming"), dim=4)


@pytest.mark.parametrize("engine", ["exact", "binary"])
def test_codes_are_equal_or_not(tmp_path: Path, engine: str) -> None:
    """Bytes are compared as GNES's BIndexer did: by the share that is equal, never by how much."""
    made = create(IndexConfig("v", engine=engine, metric="bytes"), dim=4)
    rows = np.array([[1, 2, 3, 4], [1, 2, 3, 9], [9, 9, 9, 9]], np.float32)
    made.build(rows, tmp_path / "codes")
    made.open(tmp_path / "codes")

    scores, found = made.search(rows[:1], 3)

    assert (scores.tolist(), found.tolist()) == ([[1.0, 0.75, 0.0]], [[0, 1, 2]])


def test_a_rotation_is_learnt_in_bounded_time(tmp_path: Path) -> None:
    """OPQ's rounds and rows are bounded, and what it builds still finds its neighbours."""
    rows = np.random.default_rng(5).standard_normal((3000, 16)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    options = {"factory": "OPQ4,IVF16,PQ4x4", "nprobe": 16}
    engine = create(IndexConfig("v", engine="faiss", options=options), dim=16)

    started = time.monotonic()
    engine.build(rows, tmp_path / "engine.bin")
    engine.open(tmp_path / "engine.bin")
    _, found = engine.search(rows[:20], 200)

    assert time.monotonic() - started < 60
    assert sum(row in found[row] for row in range(20)) >= 18
