"""A shard answers like brute force, however its documents are spread, and whoever writes."""

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexstore.build import BuildPolicy
from indexstore.errors import DimensionError, InvalidVectorError
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.scoring import REDUCTIONS
from indexstore.shard import Shard
from tests.indexstore.shard_bed import (
    Bed,
    Stored,
    answer_of,
    oracle,
    pairs,
    random_rows,
)

DIM = 8
BEDS = itertools.count()


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """An empty collection."""
    return Bed(tmp_path)


def documents(
    rng: np.random.Generator, ids: list[str], *, most_chunks: int = 3
) -> dict[str, Stored]:
    """Return random documents, some of them equal, of one to several chunks."""
    made = {}
    for doc_id in ids:
        n = int(rng.integers(1, most_chunks + 1))
        weights = rng.choice([1.0, 0.5, 0.25], n).astype(np.float32)
        made[doc_id] = Stored(random_rows(rng, n, DIM), weights, float(rng.choice([1.0, 2.0, 0.5])))
    return made


def some_queries(rng: np.random.Generator, **options: Any) -> ShardQuery:
    """Return four queries, of one, two, one and no rows."""
    owners = np.array([1, 0, 1, 2], np.int32)
    weights = np.array([1.0, 0.5, 2.0, 1.0], np.float32)
    return ShardQuery(random_rows(rng, 4, DIM), owners, weights, 4, 5, **options)


def assert_answers(bed: Bed, config: IndexConfig, query: ShardQuery) -> None:
    """Compare a search over all shards with the oracle: ids, order and scores.

    Documents that differ by less than single precision tells may stand in for each other.
    """
    score = query.score or config.options.get("score", "sum")
    everything = replace(query, limit=len(bed.stored))
    expected = oracle(bed.stored, everything, metric=config.metric, score=score)

    found = answer_of(bed.shards(config), query)

    for hits, ranking in zip(found, expected, strict=True):
        scores, wanted = dict(ranking), [score for _, score in ranking[: query.limit]]
        assert [s for _, s in hits] == pytest.approx(wanted, abs=1e-5)
        assert [s for _, s in hits] == pytest.approx([scores[i] for i, _ in hits], abs=1e-5)
        assert len({i for i, _ in hits}) == len(hits)
        assert hits == sorted(hits, key=lambda hit: (-hit[1], hit[0]))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "patch", "build", "compact"]),
        st.integers(0, 2**31),
    ),
    min_size=1,
    max_size=7,
)


@pytest.mark.parametrize(("metric", "score"), [("cosine", "sum"), ("ip", "max"), ("l2", "avg")])
@settings(
    max_examples=6,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=STEPS)
def test_any_number_of_shards_answers_like_brute_force(
    tmp_path: Path, metric: Any, score: str, steps: list[tuple[str, int]]
) -> None:
    """After any writes, builds and compactions 1, 2, 3 and 5 shards give the oracle's answer."""
    bed = Bed(tmp_path / f"{next(BEDS)}")
    configs = [
        IndexConfig(f"by{n}", engine="exact", metric=metric, options={"score": score}, shards=n)
        for n in (1, 2, 3, 5)
    ]
    for step, seed in steps:
        rng = np.random.default_rng(seed)
        take_step(bed, step, rng, configs)

    for config in configs:
        assert_answers(bed, config, some_queries(np.random.default_rng(0)))


def take_step(bed: Bed, step: str, rng: np.random.Generator, configs: list[IndexConfig]) -> None:
    """Change the collection, or its segments, somehow."""
    known = sorted(bed.stored)
    if step == "put":
        bed.put(documents(rng, [f"d{i}" for i in rng.integers(0, 40, 12)]))
    elif step == "delete" and known:
        bed.delete(list(rng.choice(known, 3)))
    elif step == "patch" and known:
        bed.patch(str(rng.choice(known)), weight=float(rng.choice([0.5, 1.0, 3.0])))
    elif step in ("build", "compact"):
        growth = 0.01 if step == "build" else 100.0
        policy = BuildPolicy(growth=growth, max_deleted_ratio=1.0)
        for config in configs:
            bed.build(config, policy=policy)


@pytest.mark.parametrize("metric", ["ip", "cosine", "l2"])
@pytest.mark.parametrize("score", REDUCTIONS)
def test_every_score_is_over_all_chunks(bed: Bed, metric: Any, score: Any) -> None:
    """Whatever the reduction, and whichever one the index was built for, all chunks count."""
    rng = np.random.default_rng(3)
    bed.put(documents(rng, [f"d{i}" for i in range(60)]))
    config = IndexConfig("v", engine="hnsw", metric=metric, options={"score": score})
    bed.build(config)
    bed.put(documents(rng, [f"d{i}" for i in range(50, 70)]))

    assert_answers(bed, config, some_queries(rng))
    assert_answers(bed, config, some_queries(rng, score="max"))
    assert_answers(bed, config, some_queries(rng, score="sum"))


def test_an_approximate_engine_finds_what_the_exact_scan_finds(bed: Bed) -> None:
    """HNSW with weighted documents of many chunks misses hardly any of the ten best."""
    rng = np.random.default_rng(4)
    bed.put(documents(rng, [f"d{i}" for i in range(3000)]))
    config = IndexConfig("v", engine="hnsw", metric="cosine")
    bed.build(config)
    shard = Shard.open(bed.place(config))
    rows = rng.standard_normal((40, DIM)).astype(np.float32)

    found = pairs(shard.search(ShardQuery.of(rows, limit=10, spare=0)))
    exact = pairs(shard.search(ShardQuery.of(rows, limit=10, spare=0, exact=True)))

    same = sum(len(set(a) & set(b)) for a, b in zip(found, exact, strict=True))
    assert same >= 0.98 * 400


def test_equal_scores_are_ordered_by_id(bed: Bed) -> None:
    """Hundreds of equal documents, in segments and delta, come in the order of their ids."""
    row = np.ones((1, DIM), np.float32)
    twin = Stored(row, np.ones(1, np.float32))
    bed.put({f"d{i:03}": twin for i in range(0, 400, 2)})
    config = IndexConfig("v", engine="hnsw")
    bed.build(config)
    bed.put({f"d{i:03}": twin for i in range(1, 400, 2)})

    hits = pairs(Shard.open(bed.place(config)).search(ShardQuery.of(row, limit=20, spare=0)))

    assert [i for i, _ in hits[0]] == [f"d{i:03}" for i in range(20)]


def test_hits_carry_versions_and_their_best_chunks(bed: Bed) -> None:
    """A hit shows its chunks by falling score, with positions and spans."""
    eye = np.eye(DIM, dtype=np.float32)
    bed.put({"a": Stored(eye[:3], np.array([0.2, 0.3, 0.5], np.float32), weight=2.0)})
    config = IndexConfig("v", engine="exact")
    shard = Shard.open(bed.place(config))

    hits = shard.search(ShardQuery.of(eye[2:3] + 0.5 * eye[:1], limit=3, group_size=2))

    length = float(np.sqrt(1.25))
    assert (hits.doc_ids, hits.versions.tolist(), hits.counts.tolist()) == (["a"], [1], [1])
    assert hits.chunk_positions.tolist() == [2, 0]
    assert hits.chunk_scores.tolist() == pytest.approx([0.5 / length, 0.1 / length])
    assert hits.chunk_spans.tolist() == [[20, 29], [0, 9]]
    assert hits.scores.tolist() == pytest.approx([2 * 0.6 / length])


def test_a_threshold_cuts_and_exclusion_leaves_out(bed: Bed) -> None:
    """Hits under the threshold do not come, nor do documents that were excluded."""
    eye = np.eye(DIM, dtype=np.float32)
    bed.put({f"d{i}": Stored(eye[i : i + 1], np.ones(1, np.float32)) for i in range(4)})
    shard = Shard.open(bed.place(IndexConfig("v", engine="exact")))
    row = eye[:1] + 0.5 * eye[1:2]

    cut = pairs(shard.search(ShardQuery.of(row, limit=4, score_threshold=0.4)))
    without = pairs(shard.search(ShardQuery.of(row, limit=1, spare=0, exclude=("d0",))))

    assert [i for i, _ in cut[0]] == ["d0", "d1"]
    assert [i for i, _ in without[0]] == ["d1"]


def test_spare_hits_come_beyond_the_limit(bed: Bed) -> None:
    """Some more hits than asked for come, for those that die on the way to the answer."""
    rng = np.random.default_rng(5)
    bed.put(documents(rng, [f"d{i}" for i in range(30)]))
    shard = Shard.open(bed.place(IndexConfig("v", engine="exact")))

    hits = shard.search(ShardQuery.of(random_rows(rng, 2, DIM), limit=5, spare=3))

    assert hits.counts.tolist() == [8, 8]


def test_a_patch_moves_version_and_weight_in_segments_and_delta(bed: Bed) -> None:
    """A weight counts at once, without a build, and the version moves with it."""
    eye = np.eye(DIM, dtype=np.float32)
    config = IndexConfig("v", engine="hnsw")
    bed.put({"old": Stored(eye[:1], np.ones(1, np.float32))})
    bed.build(config)
    bed.put({"new": Stored(eye[:1], np.ones(1, np.float32))})
    shard = Shard.open(bed.place(config))
    bed.patch("old", weight=3.0)
    bed.patch("new", weight=2.0)

    shard.catch_up()
    hits = shard.search(ShardQuery.of(eye[:1], limit=5))

    assert pairs(hits) == [[("old", 3.0), ("new", 2.0)]]
    assert hits.versions.tolist() == [3, 4]


def test_a_search_waits_for_the_row_it_needs(bed: Bed) -> None:
    """``min_seq`` makes a shard read the log first, which is read-your-writes."""
    eye = np.eye(DIM, dtype=np.float32)
    shard = Shard.open(bed.place(IndexConfig("v", engine="exact")))
    seq = bed.put({"a": Stored(eye[:1], np.ones(1, np.float32))})

    hits = shard.search(ShardQuery.of(eye[:1], limit=1, min_seq=seq))

    assert (hits.doc_ids, hits.applied_seq) == (["a"], seq)


def test_waiting_ends_at_the_deadline(bed: Bed) -> None:
    """A row that never comes is waited for until the deadline; the answer says how far it is."""
    shard = Shard.open(bed.place(IndexConfig("v", engine="exact")))
    started = time.time()

    hits = shard.search(
        ShardQuery.of(np.ones((1, DIM), np.float32), limit=1, min_seq=99, deadline=started + 0.1)
    )

    assert hits.applied_seq == 0
    assert time.time() - started < 2


def test_new_segments_are_taken_over_and_the_delta_shrinks(bed: Bed) -> None:
    """After a build the same answer comes from the segment, and the delta is empty."""
    rng = np.random.default_rng(6)
    bed.put(documents(rng, [f"d{i}" for i in range(50)]))
    config = IndexConfig("v", engine="exact")
    shard = Shard.open(bed.place(config))
    query = some_queries(rng)
    before = pairs(shard.search(query))
    assert shard.stats().delta_rows > 0

    bed.build(config)
    shard.look_ahead()
    shard.catch_up()

    stats = shard.stats()
    assert (stats.segments, stats.delta_rows, stats.documents) == (1, 0, 50)
    assert pairs(shard.search(query)) == before


def test_bad_queries_are_refused(bed: Bed) -> None:
    """A wrong width or a NaN is refused, not answered."""
    bed.put({"a": Stored(np.ones((1, DIM), np.float32), np.ones(1, np.float32))})
    shard = Shard.open(bed.place(IndexConfig("v", engine="exact")))

    with pytest.raises(DimensionError):
        shard.search(ShardQuery.of(np.ones((1, DIM + 1), np.float32), limit=1))
    with pytest.raises(InvalidVectorError, match="NaN"):
        shard.search(ShardQuery.of(np.full((1, DIM), np.nan, np.float32), limit=1))


def test_documents_an_index_cannot_hold_are_counted_not_served(bed: Bed) -> None:
    """A vector of another width or without numbers stops nobody from reading on."""
    good = Stored(np.ones((1, DIM), np.float32), np.ones(1, np.float32))
    void = Stored(np.full((1, DIM), np.nan, np.float32), np.ones(1, np.float32))
    wide = Stored(np.ones((1, DIM + 2), np.float32), np.ones(1, np.float32))
    config = IndexConfig("v", engine="exact", dim=DIM)
    bed.put({"a": good, "b": void, "c": wide, "d": good})
    shard = Shard.open(bed.place(config))
    assert shard.stats().refused == 2

    bed.build(config)
    hits = pairs(Shard.open(bed.place(config)).search(ShardQuery.of(good.vectors, limit=9)))

    assert [i for i, _ in hits[0]] == ["a", "d"]


@pytest.mark.parametrize("engine", ["exact", "hnsw"])
def test_a_vector_of_zeros_is_like_nothing(bed: Bed, engine: str) -> None:
    """What an encoder knew no word of spoils neither its document nor the queries beside it."""
    eye = np.eye(DIM, dtype=np.float32)
    half = Stored(np.stack((eye[0], 0 * eye[0])), np.ones(2, np.float32))
    config = IndexConfig("v", engine=engine, dim=DIM)
    bed.put({"half": half, "none": Stored(0 * eye[:1], np.ones(1, np.float32))})
    query = ShardQuery.of(np.stack((eye[0], 0 * eye[0])), limit=9)
    fresh = pairs(Shard.open(bed.place(config)).search(query))
    bed.build(config)
    built = pairs(Shard.open(bed.place(config)).search(query))

    assert fresh == built == [[("half", 1.0), ("none", 0.0)], [("half", 0.0), ("none", 0.0)]]


def test_stored_vectors_are_looked_up_by_id(bed: Bed) -> None:
    """The vectors of a document, wherever it lies, serve to search for its like."""
    eye = np.eye(DIM, dtype=np.float32)
    config = IndexConfig("v", engine="hnsw")
    weights = np.array([0.5, 0.5], np.float32)
    bed.put({"old": Stored(eye[:2], weights)})
    bed.build(config)
    bed.put({"new": Stored(eye[2:4], weights)})
    shard = Shard.open(bed.place(config))

    vectors = shard.vectors_of(["new", "old", "none"])

    found: Mapping[str, Any] = {i: v[0].tolist() for i, v in vectors.items()}
    assert found == {"old": eye[:2].tolist(), "new": eye[2:4].tolist()}


def test_a_weighted_query_of_several_vectors_can_be_unlike_some(bed: Bed) -> None:
    """A negative weight pushes documents like that row down."""
    eye = np.eye(DIM, dtype=np.float32)
    rows = np.stack([eye[0] + eye[1], eye[0] + eye[2]])
    bed.put({i: Stored(r[None], np.ones(1, np.float32)) for i, r in zip("ab", rows, strict=True)})
    shard = Shard.open(bed.place(IndexConfig("v", engine="exact")))

    query = ShardQuery(
        eye[:2], np.zeros(2, np.int32), np.array([1.0, -1.0], np.float32), 1, limit=2
    )
    hits = pairs(shard.search(query))

    assert [i for i, _ in hits[0]] == ["b", "a"]
    assert hits[0][1][1] == pytest.approx(0.0, abs=1e-6)


@pytest.fixture
def either(tmp_path: Path, database_url: str) -> Iterator[Bed]:
    """An empty collection, on either database."""
    made = Bed(tmp_path, database_url)
    yield made
    made.ledger.close()


def test_searches_go_on_while_others_write_build_and_compact(either: Bed) -> None:
    """Threads that search never fail and never miss a document that stays."""
    bed = either
    rng = np.random.default_rng(7)
    stays = {f"s{i}": Stored(random_rows(rng, 1, DIM), np.ones(1, np.float32)) for i in range(30)}
    bed.put(stays)
    config = IndexConfig("v", engine="hnsw")
    shard = Shard.open(bed.place(config))
    faults: list[BaseException] = []
    stop = threading.Event()

    def search() -> None:
        try:
            while not stop.is_set():
                hits = shard.search(ShardQuery.of(np.ones((2, DIM), np.float32), limit=500))
                assert set(stays) <= set(hits.doc_ids)
        except BaseException as fault:  # noqa: BLE001 - handed to the test's own thread
            faults.append(fault)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for turn in range(8):
        bed.put(documents(rng, [f"d{i}" for i in range(turn, turn + 20)]))
        bed.delete([f"d{turn}"])
        bed.build(config, policy=BuildPolicy(growth=0.1 if turn % 2 else 9.0))
        shard.look_ahead()
        shard.catch_up()
    stop.set()
    for thread in threads:
        thread.join()

    assert not faults
    assert shard.stats().documents == len(bed.stored)
