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
from indexstore.errors import CollectionNotFoundError, IndexStoreError
from indexstore.shard import Shard, ShardStats
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)

_POLL_S = 0.05  # a lost wake-up delays a fresh document by as much
_MOST_DELETED = 0.25  # of the documents of a segment; the build policy merges from there on
_BUILD_LOOK_S = 1.0  # between two looks whether a build is due
_BUILD_EVERY_S = 5.0  # a shard that outgrew its delta asks for a segment no more often
_BUILD_PAUSE_S = 300.0  # nor more seldom than this, when its builds come to nothing
_SETTLED_S = 2.0  # without news: then the rest of a bulk of writes becomes a segment as well
_COMPARE_S = 0.5  # between two looks which generation serves
_FORMER_S = 30.0  # for queries that were encoded before a swap; longer than they wait
_SETTLED_ROWS = 1_000  # fewer are scanned in less time than one more segment takes


class GenerationError(Exception):
    """A query was encoded for a generation that this process does not serve."""

    def __init__(self, wanted: int, served: int) -> None:
        super().__init__(wanted, served)
        self.wanted, self.served = wanted, served

    def __str__(self) -> str:
        return (
            f"the query is of generation {self.wanted}, generation {self.served} serves now; "
            "repeat it"
        )


class Serving:
    """The shards of one worker process, by (index of the flow, shard)."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self.shards: dict[tuple[int, int], Shard] = {}
        self._former: list[_Former] = []
        self._compared_at = 0.0
        self._orders: dict[tuple[int, int], _Order] = {}
        self._looked_at = 0.0
        self._news_at: dict[tuple[int, int], float] = {}

    def load(self) -> None:
        """Open every shard whose queue this process consumes.

        Raises:
            IndexStoreError: a shard cannot be opened.
        """
        state = self._state
        for index, shard in state.shards_here():
            self.shards[index, shard] = Shard.open(state.place(index, shard))

    def shard(self, key: tuple[int, int], generation: int = 0) -> Shard:
        """Return a shard in the generation that a query was encoded for; 0 is the one that serves.

        Raises:
            GenerationError: that generation is not served here.
        """
        newest = self.shards[key]
        if generation in (0, newest.place.generation):
            return newest
        for former in self._former:
            shard = former.shards.get(key)
            if shard is not None and shard.place.generation == generation:
                return shard
        raise GenerationError(generation, newest.place.generation)

    def follow_generation(self) -> bool:
        """Open the shards of a generation that serves since; tell whether there is one.

        The former ones stay for queries that were encoded for them.
        """
        now = time.monotonic()
        if now - self._compared_at < _COMPARE_S:
            return False
        self._compared_at = now
        self._former = [former for former in self._former if not former.is_over(now)]
        serving = self._state.generation()
        if all(shard.place.generation == serving for shard in self.shards.values()):
            return False
        fresh = {
            (index, shard): Shard.open(self._state.place(index, shard, serving))
            for index, shard in self.shards
        }
        self._former.append(_Former(self.shards, now + _FORMER_S))
        self.shards = fresh
        logger.info("generation %d serves", serving)
        return True

    def describe(self) -> list[Mapping[str, Any]]:
        """Return what to announce of each shard."""
        rows: list[Mapping[str, Any]] = []
        for (index, number), shard in self.shards.items():
            stats = shard.stats()
            rows.append(
                {
                    "index": index,
                    "name": self._state.plan.indexes[index].name,
                    "shard": number,
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
            )
        return rows

    def catch_up(self) -> bool:
        """Apply what is new in the log to every shard; tell whether anything was."""
        changed = False
        for key, shard in self.shards.items():
            before = shard.applied_seq
            if shard.catch_up() != before:
                changed = True
                self._news_at[key] = time.monotonic()
        for former in self._former:
            for shard in former.shards.values():
                shard.catch_up()
        return changed

    def look_ahead(self) -> None:
        """Open the segments that the manifest lists anew, beside those that serve.

        Raises:
            IndexStoreError: the first shard's of which they cannot be opened now.
        """
        for shard in tuple(self.shards.values()):
            shard.look_ahead()

    def covered(self) -> dict[tuple[int, int], int]:
        """Return how far the segments of each shard go."""
        return {key: shard.stats().covered_seq for key, shard in self.shards.items()}

    def see_to_builds(self) -> None:
        """Ask for a segment where one is due; again and again, for a builder may die of it."""
        now = time.monotonic()
        if now - self._looked_at < _BUILD_LOOK_S:
            return
        self._looked_at = now
        for key, shard in self.shards.items():
            stats = shard.stats()
            rests = now - self._news_at.setdefault(key, now) > _SETTLED_S
            is_left = rests and stats.delta_rows >= _SETTLED_ROWS
            if not (is_left or _wants_build(stats, int(self._state.settings["build_rows"]))):
                continue
            last = self._orders.get(key)
            if last is None or now >= last.at + last.pause_s:
                self._orders[key] = _Order.after(last, stats, now)
                self._ask_for_build(key, stats)

    def _ask_for_build(self, key: tuple[int, int], stats: ShardStats) -> None:
        payload = {
            "collection": self._state.collection,
            "index": key[0],
            "shard": key[1],
            "covered_seq": stats.covered_seq,
            "generation": stats.generation,
        }
        call = Call(names.BUILD, names.BUILD_QUEUE, payload)
        chords.send(current_app, call, awaited=False)


@dataclass(frozen=True, slots=True)
class _Former:
    """The shards of a generation that served before, and when to let go of them."""

    shards: Mapping[tuple[int, int], Shard]
    until: float

    def is_over(self, now: float) -> bool:
        """Let go of the shards once no query can still want them; tell whether it has."""
        if now < self.until:
            return False
        for shard in self.shards.values():
            shard.close()
        return True


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
                if self._serving.follow_generation() | self._serving.catch_up():
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
