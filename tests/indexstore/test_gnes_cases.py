"""GNES's cases of indexers (14.5), on our shards; where GNES was wrong, the mended value."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from indexstore.errors import DimensionError
from indexstore.ids import DocIds
from indexstore.model import Float32, IndexConfig, Metric
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from tests.indexstore.shard_bed import Bed, Stored, pairs

ONE = np.ones(1, np.float32)
#: (document, offset) and code; the offset is kept in the document's name.
TOY = {
    "234/0": [1, 2, 1, 2], "432/0": [2, 1, 3, 4], "123/1": [1, 2, 1, 2], "321/0": [2, 1, 4, 3],
    "1/0": [2, 1, 3, 4], "2/0": [23, 32, 21, 33], "6/0": [123, 132, 1, 1],
}  # fmt: skip


def rows(*given: Sequence[float]) -> Float32:
    """Return rows of numbers."""
    return np.array(given, np.float32)


def shard_of(
    bed: Bed,
    engine: str,
    metric: Metric,
    *,
    built: bool = True,
    options: Mapping[str, object] | None = None,
) -> Shard:
    """Open the one shard of an index, with a segment or all in the delta."""
    config = IndexConfig("v", engine=engine, metric=metric, options=options or {})
    if built:
        bed.build(config)
    return Shard.open(bed.place(config))


def best(shard: Shard, row: Sequence[float], *, limit: int) -> list[tuple[str, float]]:
    """Return the hits of one query."""
    (hits,) = pairs(shard.search(ShardQuery.of(rows(row), limit=limit)))
    return hits


@pytest.mark.parametrize("built", [False, True], ids=["delta", "segment"])
@pytest.mark.parametrize("engine", ["exact", "binary"])
def test_the_toy_set_is_found_by_equal_bytes(tmp_path: Path, engine: str, *, built: bool) -> None:
    """Top two of three queries, as sets with scores 1 and .75; the same once saved and loaded."""
    bed = Bed(tmp_path)
    bed.put({name: Stored(rows(code), ONE) for name, code in TOY.items()})
    shard = shard_of(bed, engine, "bytes", built=built)

    asked = rows([1, 2, 1, 2], [2, 1, 3, 4], [3, 2, 1, 2])
    found = pairs(shard.search(ShardQuery.of(asked, limit=2, spare=0)))

    assert [{name for name, _ in hits} for hits in found] == [
        {"234/0", "123/1"}, {"432/0", "1/0"}, {"234/0", "123/1"},
    ]  # fmt: skip
    assert [[score for _, score in hits] for hits in found] == [[1, 1], [1, 1], [0.75, 0.75]]


def test_all_seven_have_their_distance_to_the_first_query(tmp_path: Path) -> None:
    """Differing bytes of four: none for two of them, three for 6, four for all others."""
    bed = Bed(tmp_path)
    bed.put({name: Stored(rows(code), ONE) for name, code in TOY.items()})

    hits = best(shard_of(bed, "binary", "bytes"), [1, 2, 1, 2], limit=7)

    differing = {name: round(4 * (1 - score)) for name, score in hits}
    assert differing == {
        "234/0": 0, "123/1": 0, "6/0": 3, "432/0": 4, "321/0": 4, "1/0": 4, "2/0": 4,
    }  # fmt: skip


def test_a_code_of_another_length_is_refused(tmp_path: Path) -> None:
    """The error names both lengths."""
    bed = Bed(tmp_path)
    bed.put({name: Stored(rows(code), ONE) for name, code in TOY.items()})

    with pytest.raises(DimensionError, match="4-dimensional vectors, not 3"):
        shard_of(bed, "binary", "bytes").search(ShardQuery.of(rows([1, 2, 3]), limit=1))


@pytest.mark.parametrize("engine", ["exact", "hnsw", "faiss"])
def test_each_stored_vector_is_its_own_nearest(tmp_path: Path, engine: str) -> None:
    """Ten random vectors of five dimensions: ten documents, ten chunks, each first for itself."""
    bed = Bed(tmp_path)
    stored = np.random.default_rng(1).normal(size=(10, 5)).astype(np.float32)
    bed.put({str(i): Stored(stored[i : i + 1], ONE) for i in range(10)})
    shard = shard_of(bed, engine, "l2")

    found = pairs(shard.search(ShardQuery.of(stored, limit=1)))

    assert [hits[0] for hits in found] == [(str(i), 1.0) for i in range(10)]
    assert (shard.stats().documents, shard.stats().chunks) == (10, 10)


@pytest.mark.parametrize(
    ("engine", "options"), [("exact", {}), ("faiss", {"factory": "Flat"}), ("hnsw", {})]
)
def test_distances_become_scores_and_weights_count(
    tmp_path: Path, engine: str, options: dict[str, object]
) -> None:
    """Distances 0, 5 and 10 are 1, 1/6 and 1/11 (GNES's faiss), times the chunks' weights."""
    bed = Bed(tmp_path)
    points = {"a": [0.0, 0.0], "b": [3.0, 4.0], "c": [6.0, 8.0]}
    weights = {"a": 1.0, "b": 0.5, "c": 0.25}
    bed.put({key: Stored(rows(point), rows([weights[key]])[0]) for key, point in points.items()})
    shard = shard_of(bed, engine, "l2", options=options)

    hits = best(shard, [0.0, 0.0], limit=3)

    assert [name for name, _ in hits] == ["a", "b", "c"]
    assert [score for _, score in hits] == pytest.approx([1.0, 0.5 / 6, 0.25 / 11])


@pytest.mark.parametrize("engine", ["exact", "hnsw"])
def test_angles_order_as_annoy_did(tmp_path: Path, engine: str) -> None:
    """[1, 0] first, then what is half way to it, then what stands across."""
    bed = Bed(tmp_path)
    points = {"same": [1.0, 0.0], "across": [0.0, 1.0], "half": [1.0, 1.0]}
    bed.put({name: Stored(rows(point), ONE) for name, point in points.items()})

    hits = best(shard_of(bed, engine, "cosine"), [1.0, 0.0], limit=3)

    assert [name for name, _ in hits] == ["same", "half", "across"]
    assert [score for _, score in hits] == pytest.approx([1.0, 0.5**0.5, 0.0])


def test_a_graph_grows(tmp_path: Path) -> None:
    """A thousand chunks, then another thousand: ten queries for five get ten times five."""
    bed = Bed(tmp_path)
    stored = np.random.default_rng(2).normal(size=(2000, 20)).astype(np.float32)
    config = IndexConfig("v", engine="hnsw", metric="l2")
    for first in (0, 1000):
        bed.put({str(i): Stored(stored[i : i + 1], ONE) for i in range(first, first + 1000)})
        bed.build(config)
    shard = Shard.open(bed.place(config))

    found = pairs(shard.search(ShardQuery.of(stored[::200], limit=5, spare=0)))

    assert [len(hits) for hits in found] == [5] * 10
    assert [hits[0][0] for hits in found] == [str(i) for i in range(0, 2000, 200)]
    assert shard.stats().chunks == 2000


@pytest.mark.parametrize("engine", ["exact", "hnsw", "faiss"])
def test_of_fewer_than_asked_all_come_once(tmp_path: Path, engine: str) -> None:
    """Ten asked of three: three hits (GNES's faiss repeated the last one)."""
    bed = Bed(tmp_path)
    bed.put({str(i): Stored(rows([float(i), 1.0]), ONE) for i in range(3)})

    hits = best(shard_of(bed, engine, "cosine"), [1.0, 1.0], limit=10)

    assert sorted(name for name, _ in hits) == ["0", "1", "2"]


def test_counters_count_documents_and_chunks_once(tmp_path: Path) -> None:
    """Two chunks and one: two documents, three chunks; a third chunk makes it four of still two."""
    bed = Bed(tmp_path)
    chunks = rows([1.0, 0.0], [0.0, 1.0], [1.0, 1.0])
    bed.put({"1": Stored(chunks[:2], np.ones(2, np.float32)), "2": Stored(chunks[:1], ONE)})
    shard = shard_of(bed, "exact", "cosine")
    before = shard.stats()

    bed.put({"1": Stored(chunks, np.ones(3, np.float32))})
    shard.catch_up()

    assert (before.documents, before.chunks) == (2, 3)
    assert shard.stats().documents == 2
    shard = shard_of(bed, "exact", "cosine")
    assert (shard.stats().documents, shard.stats().chunks) == (2, 4)


def test_a_million_keys_survive_being_written(tmp_path: Path) -> None:
    """Each is found by its name, and named by its place, after a round trip through files."""
    names = [f"document {number}" for number in range(1_000_000)]
    DocIds.of(names).write(tmp_path)

    ids = DocIds.map(tmp_path)

    assert len(ids) == 1_000_000
    some = [0, 1, 499_999, 999_999]
    assert ids.at(np.array(some)) == [names[i] for i in some]
    assert ids.find([names[i] for i in some] + ["document -1"]).tolist() == [*some, -1]
    assert ids.at(np.arange(1_000_000)) == names
