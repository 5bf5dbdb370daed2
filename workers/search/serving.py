"""The shards that this process serves, and the thread that keeps them up to date."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from celery import current_app
from redis.exceptions import RedisError

from compose.wire import chords, names
from compose.wire.chords import Call
from compose.wire.messages import Target
from indexstore.errors import CollectionNotFoundError, IndexStoreError
from indexstore.shard import Shard, ShardStats
from workers.runtime import Runtime, runtime
from workers.search.open_shards import OpenShards

logger = logging.getLogger(__name__)

_POLL_S = 0.05  # a lost wake-up delays a fresh document by as much
_MOST_DELETED = 0.25  # of the documents of a segment; the build policy merges from there on
_BUILD_LOOK_S = 1.0  # between two looks whether a build is due
_BUILD_EVERY_S = 5.0  # a shard that outgrew its delta asks for a segment no more often
_BUILD_PAUSE_S = 300.0  # nor more seldom than this, when its builds come to nothing
_SETTLED_S = 2.0  # without news: then the rest of a bulk of writes becomes a segment as well
_COMPARE_S = 0.5  # between two looks which generation and which layout serve
_SETTLED_ROWS = 1_000  # fewer are scanned in less time than one more segment takes


class GenerationError(Exception):
    """A query is for a generation, or for a layout, that this process does not serve."""

    def __init__(self, wanted: tuple[Target, int]) -> None:
        super().__init__(wanted)
        self.wanted = wanted

    def __str__(self) -> str:
        (_, shard, of), generation = self.wanted
        return (
            f"shard {shard} of {of} in generation {generation} is not served here (any more); "
            "repeat the query"
        )


class Serving:
    """The shards of one worker process."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self.open_shards = OpenShards(state)
        self._compared_at = 0.0
        self._orders: dict[Target, _Order] = {}
        self._looked_at = 0.0
        self._news_at: dict[Target, float] = {}

    def load(self) -> None:
        """Open every shard whose queue this process consumes.

        Raises:
            IndexStoreError: a shard cannot be opened.
            QueueWithoutShardError: a queue has none.
        """
        self.open_shards.load()

    def shard(self, target: Target, generation: int = 0) -> Shard:
        """Return a shard in the generation that a query was encoded for; 0 is the one that serves.

        Raises:
            GenerationError: it is not served here.
        """
        found = self.open_shards.find(target, generation)
        if found is None:
            raise GenerationError((target, generation))
        return found

    def follow(self) -> bool:
        """Open what shall serve since, and let go of what no longer does; tell of a change."""
        now = time.monotonic()
        if now - self._compared_at < _COMPARE_S:
            return False
        self._compared_at = now
        return self.open_shards.follow()

    def describe(self) -> list[Mapping[str, Any]]:
        """Return what to announce of each shard."""
        return [self._described(target, shard) for target, shard in self.open_shards.shards.items()]

    def layouts(self) -> list[tuple[int, int]]:
        """Return how many shards serve each index, and since which epoch."""
        return [(layout.shards, layout.epoch) for layout in self.open_shards.layout]

    def _described(self, target: Target, shard: Shard) -> Mapping[str, Any]:
        stats = shard.stats()
        index, number, of = target
        return {
            "index": index,
            "name": self._state.plan.indexes[index].name,
            "shard": number,
            "of": of,
            "serves": self.open_shards.serves(target),
            "ready": True,
            "applied_seq": stats.applied_seq,
            "documents": stats.documents,
            "chunks": stats.chunks,
            "delta_rows": stats.delta_rows,
            "segments": stats.segments,
            "deleted_ratio": stats.deleted_ratio,
            "generation": stats.generation,
            "epoch": stats.epoch,
            "corrupt": dict(stats.corrupt),
        }

    def catch_up(self) -> bool:
        """Apply what is new in the log to every shard; tell whether anything was."""
        changed = False
        for target, shard in self.open_shards.shards.items():
            before = shard.applied_seq
            if shard.catch_up() != before:
                changed = True
                self._news_at[target] = time.monotonic()
        for shard in self.open_shards.former():
            shard.catch_up()
        return changed

    def look_ahead(self) -> None:
        """Open the segments that the manifest lists anew, beside those that serve.

        Raises:
            IndexStoreError: the first shard's of which they cannot be opened now.
        """
        for shard in tuple(self.open_shards.shards.values()):
            shard.look_ahead()

    def covered(self) -> dict[Target, int]:
        """Return how far the segments of each shard go."""
        return {target: s.stats().covered_seq for target, s in self.open_shards.shards.items()}

    def see_to_builds(self) -> None:
        """Ask for a segment where one is due; again and again, for a builder may die of it."""
        now = time.monotonic()
        if now - self._looked_at < _BUILD_LOOK_S:
            return
        self._looked_at = now
        for target, shard in self.open_shards.shards.items():
            if not self.open_shards.is_lasting(target):
                continue  # whoever changes the layout has segments built for the new one
            stats = shard.stats()
            rests = now - self._news_at.setdefault(target, now) > _SETTLED_S
            is_left = rests and stats.delta_rows >= _SETTLED_ROWS
            if not (is_left or _wants_build(stats, int(self._state.settings["build_rows"]))):
                continue
            last = self._orders.get(target)
            if last is None or now >= last.at + last.pause_s:
                self._orders[target] = _Order.after(last, stats, now)
                self._ask_for_build(target, stats)

    def _ask_for_build(self, target: Target, stats: ShardStats) -> None:
        payload = {
            "collection": self._state.collection,
            "target": target,
            "covered_seq": stats.covered_seq,
            "generation": stats.generation,
        }
        call = Call(names.BUILD, names.BUILD_QUEUE, payload)
        chords.send(current_app, call, awaited=False)


@dataclass(frozen=True, slots=True)
class _Order:
    """When a build was asked for, what the shard had then, and when to ask again."""

    at: float
    had: tuple[int, int]
    pause_s: float

    @classmethod
    def after(cls, last: _Order | None, stats: ShardStats, now: float) -> _Order:
        """Return the next order; the pause grows while builds come to nothing."""
        had = (stats.segments, stats.covered_seq)
        if last is None or last.had != had:
            return cls(now, had, _BUILD_EVERY_S)
        return cls(now, had, min(2 * last.pause_s, _BUILD_PAUSE_S))


def _wants_build(stats: ShardStats, build_rows: int) -> bool:
    is_long = stats.delta_rows >= build_rows
    return is_long or bool(stats.corrupt) or stats.worst_hole > _MOST_DELETED


class Tailer(threading.Thread):
    """Keeps the shards of a process at the end of the log; woken by writers, polling besides."""

    def __init__(self, serving: Serving, state: Runtime, on_change: Any) -> None:
        super().__init__(name="tailer", daemon=True)
        self._serving = serving
        self._state = state
        self._on_change = on_change
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the current step."""
        self._stopping.set()

    def run(self) -> None:
        """Tail until stopped; what fails is logged and tried again."""
        wake = self._subscribe()
        while not self._stopping.is_set():
            try:
                if self._serving.follow() | self._serving.catch_up():
                    self._on_change()
                self._serving.see_to_builds()
            except CollectionNotFoundError:
                pass  # nothing was ever written; the next look may find it
            except IndexStoreError as error:
                logger.warning("tailer: %s; trying again", error)
                self._stopping.wait(1.0)
            except Exception:
                logger.exception("tailer: trying again")
                self._stopping.wait(1.0)
            wake = self._wait(wake)

    def _subscribe(self) -> Any:
        try:
            pubsub = self._state.redis.pubsub(ignore_subscribe_messages=True)
            pubsub.subscribe(names.log_channel(self._state.collection))
        except (RedisError, OSError):
            return None
        return pubsub

    def _wait(self, wake: Any) -> Any:
        """Sleep until a writer wakes us or the poll is due; return the subscription to use next."""
        if wake is None:
            self._stopping.wait(_POLL_S)
            return self._subscribe()
        try:
            wake.get_message(timeout=_POLL_S)
        except (RedisError, OSError):
            self._stopping.wait(_POLL_S)
            return None
        return wake


_serving: Serving | None = None
_opening = threading.Lock()


def serving() -> Serving:
    """Return the shards of this process, opened on first use."""
    global _serving  # noqa: PLW0603  # the per-process cache of opened shards
    with _opening:
        if _serving is None:
            made = Serving(runtime())
            made.load()
            _serving = made
        return _serving
