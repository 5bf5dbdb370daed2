"""Slots, shards and ids."""

import pytest

from indexstore.model import SLOTS, new_id, shard_of, slot_of, slot_range


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 16, 100, 1000, 1024])
def test_every_slot_has_one_shard(shards: int) -> None:
    """The ranges of the shards part the slots, and shard_of finds the range again."""
    owners = [shard for shard in range(shards) for _ in slot_range(shard, shards)]

    assert owners == [shard_of(slot, shards) for slot in range(SLOTS)]


def test_a_slot_never_changes() -> None:
    """Slots are written into databases: the function may never give another one."""
    assert [slot_of(doc_id) for doc_id in ("a", "ä", "機械学習", "")] == [579, 387, 267, 0]


def test_new_ids_sort_by_time_and_never_repeat() -> None:
    """ULIDs of one process are distinct, 26 characters long, and sort by their first ten."""
    ids = [new_id() for _ in range(1000)]

    assert len(set(ids)) == 1000
    assert {len(i) for i in ids} == {26}
    assert [i[:10] for i in ids] == sorted(i[:10] for i in ids)
