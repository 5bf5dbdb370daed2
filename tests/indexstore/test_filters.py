"""Filters are exact, over segments, delta and patches alike, and say clearly what is wrong."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexstore.errors import InvalidFilterError
from indexstore.filter_parser import parse_filter
from indexstore.filters import passes
from indexstore.model import IndexConfig
from indexstore.query import ShardQuery
from indexstore.shard import Shard
from indexstore.tags import TagIndex
from tests.indexstore.shard_bed import Bed, Stored, pairs

DIM = 8
CONFIG = IndexConfig("v", engine="hnsw")
BIG = 2**53

DATES = ["2019-01-02", "2019-01-02T01:00:00+02:00", "2019-01-01T23:30:00Z", "2019-02", "2019-13-01"]
PLAIN = [0, 1, 1.0, 2.5, -3, True, False, "a", "b c", "B", "", BIG, BIG + 1, 10**400]
SCALARS = st.sampled_from([*PLAIN, *DATES])
KEYS = st.sampled_from(["x", "y", "n.z"])
TAGS = st.dictionaries(
    st.sampled_from(["x", "y"]),
    st.one_of(SCALARS, st.none(), st.lists(SCALARS, max_size=3)),
).flatmap(
    lambda tags: st.one_of(st.just(tags), SCALARS.map(lambda value: {**tags, "n": {"z": value}}))
)
BOUNDS = st.one_of(
    st.fixed_dictionaries({"gte": st.sampled_from([0, 1.5, -(10**400)])}),
    st.fixed_dictionaries({"gt": st.sampled_from([0, 1]), "lte": st.sampled_from([2.5, BIG])}),
    st.fixed_dictionaries({"lt": st.sampled_from(["b", "2019-06", "2019-01-01T23:00:00Z"])}),
    st.fixed_dictionaries({"gte": st.just("2019-01-02"), "lte": st.just("2019-01-02T00:30")}),
)
MATCHES = st.one_of(
    st.fixed_dictionaries({"value": SCALARS}),
    st.fixed_dictionaries({"any": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"except": st.lists(SCALARS, max_size=3)}),
    st.fixed_dictionaries({"text": st.sampled_from(["b", "C B", ""])}),
)
CONDITIONS = st.one_of(
    st.fixed_dictionaries({"key": KEYS, "match": MATCHES}),
    st.fixed_dictionaries({"key": KEYS, "range": BOUNDS}),
    st.fixed_dictionaries({"is_empty": st.fixed_dictionaries({"key": KEYS})}),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "must": st.lists(inner, max_size=2),
            "should": st.lists(inner, max_size=3),
            "must_not": st.lists(inner, max_size=2),
            "min_should": st.integers(0, 2),
        },
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None)
@given(tags=st.lists(TAGS, max_size=12), chosen=FILTERS)
def test_an_index_of_tags_agrees_with_looking_at_each(
    tags: list[Mapping[str, Any]], chosen: Mapping[str, Any]
) -> None:
    """For any tags and any filter the columns give what the definition gives."""
    parsed = parse_filter(chosen)
    index = TagIndex.of(tags)

    mask = parsed.mask(index.mask, len(tags))

    assert mask.tolist() == [passes(parsed, each, "") for each in tags]


def test_dates_are_compared_as_moments() -> None:
    """Zones and forms may differ; what is no date is compared as a text, as ever."""
    when = parse_filter({"key": "at", "range": {"gte": "2021-01-01", "lt": "2022-01-01T00:00:00Z"}})

    def inside(*values: Any) -> list[bool]:
        return [passes(when, {"at": value}, "") for value in values]

    assert inside("2021-01-01", "2021-06-01T12:00:00.5Z", "2021-12-31 23:59") == [True] * 3
    assert inside("2020-12-31T23:30:00-05:00", "2021-01-01T00:30:00+01:00") == [True, False]
    assert inside("2022-01-01", "2021-99-99", "no date", 2021, None) == [
        False, True, False, False, False,
    ]  # fmt: skip


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """An empty collection."""
    return Bed(tmp_path)


def tagged(numbers: range) -> dict[str, Stored]:
    """Return documents with a number, a parity and a list of divisors."""
    made = {}
    for i in numbers:
        row = np.random.default_rng(i).standard_normal((1, DIM)).astype(np.float32)
        tags = {
            "n": i,
            "parity": ["even", "odd"][i % 2],
            "by": [d for d in (2, 3, 5) if i % d == 0],
        }
        made[f"d{i}"] = Stored(row, np.ones(1, np.float32), tags=tags)
    return made


def mixed(bed: Bed) -> Shard:
    """Fill a shard: a segment, a delta with sealed and open blocks, patches and deletes."""
    bed.put(tagged(range(300)))
    bed.build(CONFIG)
    bed.put(tagged(range(250, 900)))
    bed.delete(["d7", "d800"])
    for doc_id in ("d3", "d301", "d899"):
        bed.patch(doc_id, tags={"n": -1, "parity": "neither"})
    return Shard.open(bed.place(CONFIG))


CASES = [
    {"must": [{"key": "n", "range": {"gte": 100, "lt": 400}}]},
    {"must_not": [{"key": "parity", "match": {"value": "odd"}}]},
    {"key": "parity", "match": {"any": ["neither", "none"]}},
    {"key": "parity", "match": {"except": ["odd", "even"]}},
    {"is_empty": {"key": "by"}},
    {"has_id": ["d3", "d7", "d301", "zzz"]},
    {"should": [{"key": "by", "match": {"value": d}} for d in (2, 3, 5)], "min_should": 2},
    {"min_should": {"conditions": [{"key": "by", "match": {"value": 5}}], "min_count": 1}},
]


@pytest.mark.parametrize("chosen", CASES)
def test_only_what_passes_is_found_and_all_of_it(bed: Bed, chosen: Mapping[str, Any]) -> None:
    """A filtered search returns the passing documents in the order of the unfiltered one."""
    shard = mixed(bed)
    parsed = parse_filter(chosen)
    passing = {i for i, s in bed.stored.items() if passes(parsed, s.tags, i)}
    row = np.ones((1, DIM), np.float32)
    everything = pairs(shard.search(ShardQuery.of(row, limit=1000, exact=True)))[0]

    hits = pairs(shard.search(ShardQuery.of(row, limit=20, spare=0, filter=chosen)))[0]

    assert [i for i, _ in hits] == [i for i, _ in everything if i in passing][:20]
    assert shard.count(chosen) == len(passing)
    assert shard.ids(chosen) == sorted(passing)


def test_ids_are_listed_in_pages(bed: Bed) -> None:
    """Listing goes on after the last id of the page before."""
    shard = mixed(bed)
    chosen = {"key": "n", "range": {"lt": 10}}

    first = shard.ids(chosen, limit=4)
    second = shard.ids(chosen, limit=100, after=first[-1])

    assert first + second == shard.ids(chosen)


def test_a_facet_counts_every_value_of_what_passes(bed: Bed) -> None:
    """Facets see deletes and patches, and the most frequent value first."""
    shard = mixed(bed)

    parities = shard.facet("parity", {"key": "n", "range": {"lt": 10}})
    divisors = dict(shard.facet("by"))

    assert parities == [("even", 5), ("neither", 3), ("odd", 3)]
    assert divisors == {d: sum(d in s.tags["by"] for s in bed.stored.values()) for d in (2, 3, 5)}


def test_one_and_true_are_different_values(bed: Bed) -> None:
    """A truth is no number: neither for filters, nor their memory, nor facets."""
    row = np.ones((1, DIM), np.float32)
    bed.put({i: Stored(row, np.ones(1, np.float32), tags={"x": v}) for i, v in
             (("one", 1), ("float", 1.0), ("true", True), ("text", "1"))})  # fmt: skip
    shard = Shard.open(bed.place(CONFIG))

    found = [shard.ids({"key": "x", "match": {"value": v}}) for v in (1, True, "1")]

    assert found == [["float", "one"], ["true"], ["text"]]
    assert [count for _, count in shard.facet("x")] == [2, 1, 1]


@pytest.mark.parametrize("share", [0.002, 0.01, 0.1, 0.5, 0.99])
def test_filtered_search_is_good_at_every_selectivity(bed: Bed, share: float) -> None:
    """Of the ten best that pass, at least 95 % are found, whatever share passes."""
    rng = np.random.default_rng(8)
    rows = rng.standard_normal((4000, DIM)).astype(np.float32)
    one = np.ones(1, np.float32)
    bed.put({f"d{i}": Stored(rows[i : i + 1], one, tags={"u": i / 4000}) for i in range(4000)})
    bed.build(CONFIG)
    shard = Shard.open(bed.place(CONFIG))
    chosen = {"key": "u", "range": {"lt": share}}
    queries = rng.standard_normal((50, DIM)).astype(np.float32)

    found = pairs(shard.search(ShardQuery.of(queries, limit=10, spare=0, filter=chosen)))
    exact = pairs(
        shard.search(ShardQuery.of(queries, limit=10, spare=0, filter=chosen, exact=True))
    )

    same = sum(len(set(a) & set(b)) for a, b in zip(found, exact, strict=True))
    assert same >= 0.95 * sum(len(hits) for hits in exact)
    assert [len(hits) for hits in found] == [len(hits) for hits in exact]


@pytest.mark.parametrize(
    ("given", "where", "why"),
    [
        ([], "filter", "an object is expected, not a list"),
        ({"mus": []}, "filter", "did you mean 'must'"),
        ({"must": [{"key": "x", "rnge": {}}]}, r"filter\.must\[0\]", "did you mean 'range'"),
        ({"must": 3}, r"filter\.must", "a list of conditions"),
        ({"key": "x"}, "filter", "one of match, range, is_empty, has_id"),
        ({"key": "x", "match": {}}, r"filter\.match", "exactly one of"),
        ({"key": "x", "match": 1}, r"filter\.match", "an object is expected, not a number"),
        ({"key": "x", "match": {"any": 1}}, r"match\.any", "a list is expected"),
        ({"key": "x", "match": {"any": [None]}}, r"any\[0\]", "not null"),
        ({"key": "x", "match": {"text": 1}}, r"match\.text", "a text is expected"),
        ({"key": "", "match": {"value": 1}}, r"filter\.key", "name of a tag"),
        ({"key": "x", "range": {}}, r"filter\.range", "at least one of"),
        ({"key": "x", "range": {"gtt": 1}}, r"filter\.range", "did you mean 'gt"),
        ({"key": "x", "range": {"gt": 1, "gte": 1}}, r"filter\.range", "exclude each other"),
        ({"key": "x", "range": {"gt": 1, "lt": "a"}}, r"filter\.range", "other a text"),
        ({"key": "x", "range": {"gt": True}}, r"range\.gt", "not a truth"),
        ({"is_empty": 1}, r"filter\.is_empty", "write"),
        ({"has_id": "a"}, r"filter\.has_id", "a list of document ids"),
        ({"must": [], "key": "x"}, "filter", "cannot be both"),
        ({"should": [], "min_should": -1}, "min_should", "a number of conditions"),
        ({"min_should": {"count": 1}}, "min_should", "there is no key 'count'"),
    ],
)
def test_a_fault_is_named_with_its_place_and_its_cure(given: Any, where: str, why: str) -> None:
    """Every wrong filter says where it is wrong, and what is expected there."""
    with pytest.raises(InvalidFilterError, match=where) as caught:
        parse_filter(given)

    assert why in str(caught.value)


def test_a_filter_without_end_is_refused() -> None:
    """Depth and number of conditions are bounded: a filter costs nobody else anything."""
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"must": [deep]}
    wide = {"must": [{"is_empty": {"key": "x"}}] * 5000}

    for large in (deep, wide):
        with pytest.raises(InvalidFilterError, match="too large"):
            parse_filter(large)
