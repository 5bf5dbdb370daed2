"""Every engine keeps the contract; the registry knows them by name."""

import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from indexstore.codes import FIRST_BUCKET
from indexstore.engines import create
from indexstore.errors import EngineError, PluginFileError
from indexstore.model import Float32, IndexConfig
from indexstore.query import ShardQuery
from indexstore.scoring import relevance
from indexstore.shard import Shard
from indexstore.testing import DIM, ROWS, EngineContract
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


def codes(rows: int, *, buckets: int) -> Float32:
    """Return codes of bits: numbers of 8 buckets from 256 on, then six random bytes."""
    rng = np.random.default_rng(3)
    numbers = rng.integers(FIRST_BUCKET, FIRST_BUCKET + 8, (rows, buckets))
    return np.hstack([numbers, rng.integers(0, 256, (rows, 6))]).astype(np.float32)


class TestBits(EngineContract):
    """Bits of bytes, as Binarizer packs them."""

    name = "binary"
    metrics = ("bits",)
    recall: ClassVar[float] = 1.0

    @pytest.fixture
    def rows(self) -> Float32:
        """Rows of random bytes, as wide as the suite's."""
        return np.random.default_rng(3).integers(0, 256, (ROWS, DIM)).astype(np.float32)


@pytest.mark.parametrize("engine", ["exact", "binary"])
def test_bits_differ_or_do_not(tmp_path: Path, engine: str) -> None:
    """0b1111 and 0b0111 differ in one bit of eight (GNES 14.5)."""
    made = create(IndexConfig("v", engine=engine, metric="bits"), dim=1)
    rows = np.array([[0b1111], [0b0111], [0b11110000]], np.float32)
    made.build(rows, tmp_path / "bits")
    made.open(tmp_path / "bits")

    scores, found = made.search(rows[:1], 3)

    assert (scores.tolist(), found.tolist()) == ([[1.0, 0.875, 0.0]], [[0, 1, 2]])


def test_only_rows_of_the_query_s_buckets_are_searched(tmp_path: Path) -> None:
    """Every row found shares a cluster with its query, all such rows are found, best first."""
    rows = codes(500, buckets=2)
    made = create(IndexConfig("v", engine="buckets", metric="buckets"), dim=8)
    made.build(rows, tmp_path / "buckets")
    made.open(tmp_path / "buckets")

    scores, found = made.search(rows[:20], 500)

    exact = relevance("buckets", rows[:20], rows)
    together = (rows[:20, None, :2] == rows[None, :, :2]).any(axis=2)
    for query in range(20):
        mine = found[query][found[query] >= 0]
        assert sorted(mine) == np.flatnonzero(together[query]).tolist()
        assert scores[query, : len(mine)] == pytest.approx(exact[query, mine])
        assert (np.diff(scores[query, : len(mine)]) <= 0).all()


def test_what_shares_no_bucket_comes_last(tmp_path: Path) -> None:
    """A shard gives as many hits as were asked for; those of other buckets have score 0."""
    bed = Bed(tmp_path)
    rows = codes(300, buckets=1)
    bed.put({f"d{i:03}": Stored(rows[i : i + 1], np.ones(1, np.float32)) for i in range(300)})
    config = IndexConfig("v", engine="buckets", metric="buckets")
    bed.build(config)
    shard = Shard.open(bed.place(config))

    (hits,) = pairs(shard.search(ShardQuery.of(rows[:1], limit=300)))

    expected = relevance("buckets", rows[:1], rows)[0]
    assert hits[0] == ("d000", 1.0)
    assert dict(hits) == {f"d{i:03}": pytest.approx(float(expected[i])) for i in range(300)}
    assert hits[-1][1] == 0.0


PLUG_IN = '''
import numpy as np
from indexstore.engines.base import Engine
from indexstore.scoring import best_columns, relevance

class Shortened(Engine):
    """Compares the first half of the numbers only."""

    OPTIONS = {"share": 0.5}

    @property
    def count(self):
        return len(self._rows)

    def build(self, rows, path):
        with path.open("wb") as file:
            np.save(file, rows[:, : int(self.dim * self.options["share"])])

    def open(self, path):
        self._rows = np.load(path)

    def _search(self, queries, limit, allowed, *, effort):
        scores = relevance(self.metric, queries[:, : self._rows.shape[1]], self._rows)
        if allowed is not None:
            scores[:, ~allowed.rows] = -np.inf
        best, rows = best_columns(scores, limit)
        rows[np.isneginf(best)] = -1
        return best, rows
'''


@pytest.fixture(scope="module")
def plug_in(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file that brings an engine."""
    path = tmp_path_factory.mktemp("engine") / "shortened.py"
    path.write_text(PLUG_IN)
    return str(path)


class TestPlugIn(EngineContract):
    """An engine of a file of the operator's own keeps the contract, and its options are checked."""

    name = "Shortened"
    recall: ClassVar[float] = 0.3  # before the shard refines

    @pytest.fixture
    def config(self, plug_in: str) -> IndexConfig:
        """The engine's configuration, with its file."""
        return IndexConfig("v", engine=self.name, options={"share": 0.75}, py_path=(plug_in,))


def test_a_plug_in_s_loss_the_shard_makes_good(tmp_path: Path, plug_in: str) -> None:
    """Whatever an engine proposes is scored again exactly, and the file is built in a segment."""
    bed = Bed(tmp_path)
    rows = np.random.default_rng(2).standard_normal((2000, 16)).astype(np.float32)
    bed.put({f"d{i}": Stored(rows[i : i + 1], np.ones(1, np.float32)) for i in range(2000)})
    config = IndexConfig("v", engine="Shortened", options={"share": 0.9}, py_path=(plug_in,))
    bed.build(config)
    shard = Shard.open(bed.place(config))

    found = pairs(shard.search(ShardQuery.of(rows[:20], limit=1)))

    assert [hits[0][0] for hits in found] == [f"d{i}" for i in range(20)]
    assert [hits[0][1] for hits in found] == pytest.approx([1.0] * 20)


def test_a_broken_plug_in_shows_its_traceback(tmp_path: Path) -> None:
    """The error names the file and the line that raised."""
    broken = tmp_path / "broken.py"
    broken.write_text("x = 1\nraise RuntimeError('no such library')\n")

    with pytest.raises(PluginFileError, match=r"(?s)broken\.py.*line 2.*no such library"):
        create(IndexConfig("v", engine="Mine", py_path=(str(broken),)), dim=4)


def test_an_unfinished_engine_says_what_it_lacks(tmp_path: Path) -> None:
    """A class without its verbs is refused by name."""
    half = tmp_path / "half.py"
    half.write_text("from indexstore.engines.base import Engine\nclass Half(Engine): pass\n")

    with pytest.raises(EngineError, match="it lacks _search, build, count, open"):
        create(IndexConfig("v", engine="Half", py_path=(str(half),)), dim=4)


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
