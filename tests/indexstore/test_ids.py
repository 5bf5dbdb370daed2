"""Ids by the million: found by name, named by ordinal, compared between segments."""

from pathlib import Path

import numpy as np
import pytest

from indexstore import ids as module
from indexstore.ids import DocIds

NAMES = ["a", "", "ü" * 40, "\ud800", "a/b\n", *(f"d{i}" for i in range(200))]


def test_ids_are_found_and_named(tmp_path: Path) -> None:
    """What was laid out, and mapped again, is found by name and named by ordinal."""
    DocIds.of(NAMES).write(tmp_path)
    mapped = DocIds.map(tmp_path)

    ordinals = mapped.find([*NAMES, "none"])

    assert ordinals.tolist() == [*range(len(NAMES)), -1]
    assert mapped.at(np.arange(len(NAMES))) == NAMES


def test_no_ids_are_no_trouble(tmp_path: Path) -> None:
    """A segment of nothing but deletes has no ids."""
    DocIds.of([]).write(tmp_path)
    mapped = DocIds.map(tmp_path)

    assert mapped.find(["a"]).tolist() == [-1]
    assert mapped.shared_with(DocIds.of(NAMES)).tolist() == []
    assert DocIds.of(NAMES).shared_with(mapped).tolist() == []


def test_the_ids_of_two_segments_are_compared() -> None:
    """The larger and the smaller side give the same answer, each in its own ordinals."""
    older, newer = DocIds.of(["a", "b", "c", "d"]), DocIds.of(["d", "x", "b"])

    assert sorted(older.shared_with(newer).tolist()) == [1, 3]
    assert sorted(newer.shared_with(older).tolist()) == [0, 2]


def test_ids_of_one_hash_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes decide, should two hashes ever be equal."""
    monkeypatch.setattr(module, "id_hashes", lambda ids: np.zeros(len(list(ids)), np.uint64))
    names = DocIds.of(["a", "b", "c"])

    assert names.find(["c", "a", "z"]).tolist() == [2, 0, -1]
    assert sorted(names.shared_with(DocIds.of(["b", "c"])).tolist()) == [1, 2]
