"""The front end's view of the workers: who is there, and which layout serves."""

from pathlib import Path
from typing import Any

import pytest
import redis

from compose.wire.presence import Announcement, Directory, read_now
from compose.wire.presence import announce as write
from tests.servers.valkey import running_valkey


def worker(node: str, *shards: dict[str, Any], layout: tuple[int, int] = (2, 1)) -> Announcement:
    """Return what a worker says of itself, and how many shards it has read to serve since when."""
    queues = ("search.c.0",)
    return Announcement(node, "host", 1, queues, 0.0, "1", shards=shards, layouts=(layout,))


def shard(number: int, of: int, *, serves: bool = True) -> dict[str, Any]:
    """Return what a worker says of one shard."""
    return {
        "index": 0, "shard": number, "of": of, "serves": serves, "ready": True, "generation": 1,
    }  # fmt: skip


def test_without_news_the_flow_s_own_number_counts() -> None:
    """Nobody has announced anything yet."""
    directory = Directory([2])

    assert directory.shards_of(0) == [(0, 0, 2), (0, 1, 2)]
    assert directory.ready_shards() == set()


def test_a_layout_that_shall_serve_is_in_use_but_not_asked() -> None:
    """Its queues exist; queries still go to the old one."""
    directory = Directory([2])

    directory.update([worker("a", shard(0, 2), shard(0, 3, serves=False))])

    assert len(directory.shards_of(0)) == 2
    assert directory.widest_shards == {0: 3}
    assert directory.ready_shards() == {(0, 0, 2), (0, 0, 3)}


def test_the_first_worker_that_knows_of_a_change_is_believed() -> None:
    """Others have the new shards open already, and keep the old ones for a while."""
    directory = Directory([2])

    directory.update(
        [worker("a", shard(0, 2)), worker("b", shard(0, 3), shard(1, 3), layout=(3, 2))]
    )

    assert directory.shards_of(0) == [(0, 0, 3), (0, 1, 3), (0, 2, 3)]


def test_a_worker_that_let_go_of_its_shard_tells_which_serve_instead() -> None:
    """Else its old shard were missed until a worker of the new ones has noticed the change."""
    directory = Directory([2])

    directory.update(
        [worker("a", shard(0, 2), shard(0, 1, serves=False)), worker("b", layout=(1, 2))]
    )

    assert directory.shards_of(0) == [(0, 0, 1)]
    assert directory.ready_shards() >= {(0, 0, 1)}


def test_the_queues_of_what_serves_are_in_use_before_anybody_has_opened_it() -> None:
    """A worker knows of a new layout of which the others show nothing yet."""
    directory = Directory([2])

    directory.update([worker("a", shard(0, 2)), worker("b", layout=(4, 2))])

    assert (len(directory.shards_of(0)), directory.widest_shards) == (4, {0: 4})


def test_an_index_of_another_flow_is_nobody_s() -> None:
    """A worker of an older flow may announce what this one does not have."""
    directory = Directory([])

    directory.update([worker("a", shard(0, 2))])

    assert directory.serving_shards == {}


def test_a_worker_of_another_version_is_seen_and_not_understood(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that somebody can say that two versions run beside each other."""
    with running_valkey(tmp_path) as server, redis.Redis.from_url(server.url) as client:
        write(client, worker("new", shard(0, 2)), interval_s=9)
        monkeypatch.setattr("compose.wire.messages.WIRE_VERSION", 1)
        write(client, worker("old"), interval_s=9)
        monkeypatch.undo()

        found = {one.node: one for one in read_now(client)}

    assert found["new"].shards
    assert (found["old"].queues, found["old"].version) == ((), "1 (other messages)")
