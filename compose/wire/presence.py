"""How workers announce themselves, and how the front end reads it.

A worker writes one key that expires by itself; a set names the keys, so that reading is two round
trips whatever the number of workers. Nothing here is durable: a wiped broker forgets it and the
next heartbeat restores it.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from compose.wire import codec, names
from compose.wire.codec import WireFormatError
from compose.wire.messages import Message, Target

MISSED_HEARTBEATS = 6  # a worker that missed as many is taken for dead
OVERDUE_S = 0.75  # a heartbeat that is older hints at a worker in trouble
PATIENCE_S = 1.0  # a broker that is silent for longer is taken for gone


@dataclass(frozen=True, slots=True)
class Announcement(Message):
    """What a worker says of itself.

    ``shards`` holds a mapping a shard served: index, shard, of (how many), serves (or shall, when
    each of its layout is ready), applied_seq, documents, chunks, delta_rows, segments, generation,
    ready. ``layouts`` holds, of each index of the flow, how many shards serve it by what the worker
    has read, and the epoch since which they do; of search workers only. ``in_hand`` is the task at
    work: its id, its queue, and when it was begun. ``sent_at`` tells how old the news is. Times are
    seconds since the epoch.
    """

    node: str
    host: str
    pid: int
    queues: tuple[str, ...]
    started_at: float
    version: str
    in_hand: tuple[str, str, float] | tuple[()] = ()
    tasks_done: int = 0
    fingerprint: str = ""
    rss_bytes: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    shards: Sequence[Mapping[str, Any]] = ()
    layouts: Sequence[tuple[int, int]] = ()
    sent_at: float = 0.0

    @property
    def is_busy(self) -> bool:
        """Tell whether it is at work."""
        return bool(self.in_hand)

    @property
    def busy_since(self) -> float:
        """When the task in hand was begun; 0 without one."""
        return self.in_hand[2] if self.in_hand else 0.0


def announce(redis: Any, announcement: Announcement, *, interval_s: float) -> None:
    """Write the announcement; it expires when no further one follows."""
    key = names.presence_key(announcement.node)
    ttl_ms = int(interval_s * MISSED_HEARTBEATS * 1000)
    with redis.pipeline(transaction=False) as pipe:
        pipe.set(key, codec.dumps(announcement.to_wire()), px=ttl_ms)
        pipe.sadd(names.PRESENCE_NODES, announcement.node)
        pipe.execute()


def withdraw(redis: Any, node: str) -> None:
    """Take the announcement back: a worker that ends says so."""
    with redis.pipeline(transaction=False) as pipe:
        pipe.delete(names.presence_key(node))
        pipe.srem(names.PRESENCE_NODES, node)
        pipe.execute()


async def read(redis: Any) -> list[Announcement]:
    """Return the announcements of all workers alive, from an asyncio Redis client."""
    nodes = sorted(node.decode() for node in await redis.smembers(names.PRESENCE_NODES))
    if not nodes:
        return []
    values = await redis.mget([names.presence_key(node) for node in nodes])
    gone = [node for node, value in zip(nodes, values, strict=True) if value is None]
    if gone:
        await redis.srem(names.PRESENCE_NODES, *gone)
    return _announcements(values)


def read_now(redis: Any) -> list[Announcement]:
    """Return the announcements of all workers alive, from a Redis client that blocks."""
    nodes = [node.decode() for node in redis.smembers(names.PRESENCE_NODES)]
    return _announcements(redis.mget(map(names.presence_key, nodes)) if nodes else [])


def _announcements(values: Iterable[bytes | None]) -> list[Announcement]:
    return [_announcement(codec.loads(value)) for value in values if value is not None]


def _announcement(wire: Any) -> Announcement:
    """Return an announcement; of another version's only who it is, so that somebody can say so."""
    try:
        return Announcement.from_wire(wire)
    except WireFormatError:
        node, version = str(wire.get("node")), str(wire.get("version"))
        return Announcement(node, "", 0, (), 0.0, f"{version} (other messages)")


class Directory:
    """The front end's view of who serves which queue; a snapshot, replaced by each reading.

    Args:
        shards: of each index of the flow, while no worker has told of another number.
    """

    def __init__(self, shards: Sequence[int] = ()) -> None:
        self.workers: list[Announcement] = []
        self.serving_shards = dict(enumerate(shards))
        self.widest_shards = dict(self.serving_shards)
        self.read_at = 0.0
        self._lost_at: float | None = None
        self._outages = 0

    def update(self, workers: Sequence[Announcement]) -> None:
        """Take the newest reading."""
        self.workers = list(workers)
        self._note_layouts()
        self.read_at = time.time()
        self._lost_at = None

    def lose(self) -> None:
        """Note that the broker could not be asked; what it held may be gone with it."""
        if self._lost_at is None:
            self._lost_at = time.time()
            self._outages += 1

    def is_away(self) -> bool:
        """Tell whether the broker did not answer when it was last asked."""
        return self._lost_at is not None

    def is_lost(self) -> bool:
        """Tell whether the broker has not answered for longer than a hiccup lasts."""
        return self._lost_at is not None and time.time() - self._lost_at > PATIENCE_S

    def crew(self, queues: Iterable[str]) -> frozenset[tuple[str, str, int]]:
        """Return (queue, node, process) of all that consume some queues, and the broker's life.

        A member that is missing later may have taken a message with it.
        """
        members = {("", "broker", self._outages)}
        for queue in queues:
            members |= {(queue, worker.node, worker.pid) for worker in self.serving(queue)}
        return frozenset(members)

    def holder_of(self, batch_id: str) -> str | None:
        """Return the queue from which some worker took a message of this batch, if one has it."""
        for worker in self.workers:
            if worker.in_hand and worker.in_hand[0].startswith(batch_id):
                return worker.in_hand[1]
        return None

    def serving(self, queue: str) -> list[Announcement]:
        """Return the live workers that consume ``queue``."""
        return [worker for worker in self.workers if queue in worker.queues]

    def silence_s(self, queue: str) -> float:
        """Return the seconds since any worker on ``queue`` was heard of; infinite without one."""
        return time.time() - max((one.sent_at for one in self.serving(queue)), default=-math.inf)

    def ready_shards(self) -> set[Target]:
        """Return every shard that some worker has loaded."""
        return {
            (shard["index"], shard["shard"], shard["of"])
            for worker in self.workers
            for shard in worker.shards
            if shard["ready"]
        }

    def fresh_rows(self) -> dict[Target, int]:
        """Return how many rows without a segment each shard has, where it has the fewest."""
        found: dict[Target, int] = {}
        for worker in self.workers:
            for shard in worker.shards:
                key, fresh = (shard["index"], shard["shard"], shard["of"]), int(shard["delta_rows"])
                found[key] = min(found.get(key, fresh), fresh)
        return found

    def shards_of(self, index: int) -> list[Target]:
        """Return the shards that serve an index of the flow."""
        of = self.serving_shards[index]
        return [(index, shard, of) for shard in range(of)]

    def _note_layouts(self) -> None:
        """Note how many shards serve each index: what workers told since its last change.

        The first who knows of a change is believed, whatever it serves itself: a worker may have
        let go of a shard of the old layout before any of the new one has noticed.
        """
        newest = dict.fromkeys(self.serving_shards, -1)
        for worker in self.workers:
            for index, (shards, epoch) in enumerate(worker.layouts):
                if epoch > newest.get(index, sys.maxsize):
                    newest[index] = epoch
                    self.serving_shards[index] = shards
        rows = [shard for worker in self.workers for shard in worker.shards]
        for index, serving in self.serving_shards.items():
            opened = (row["of"] for row in rows if row["index"] == index)
            self.widest_shards[index] = max((serving, *opened))

    def generation(self) -> int:
        """Return the generation that every shard can be asked in; 0 while none is announced.

        After a swap a worker goes on serving the former one for a while, so the lowest will do.
        """
        rows = (shard for worker in self.workers for shard in worker.shards)
        announced = [shard["generation"] for shard in rows if shard["serves"]]
        return min(announced, default=0)
