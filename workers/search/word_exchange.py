"""Shards of a full-text index tell each other how rare words are, so that all score alike.

Each keeps its counts in a hash of the reply store, and a stamp of them in another: a reader looks
at the stamps and fetches what is new. Nothing there is durable; what was lost is told again.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping

import numpy as np
from redis.exceptions import RedisError

from compose.wire import codec, names
from compose.wire.codec import WireFormatError
from compose.wire.messages import Target, WordReport
from indexstore.shard import Shard
from indexstore.words import WordTable
from workers.runtime import Runtime
from workers.search.serving import Serving

logger = logging.getLogger(__name__)

_LOOK_S = 0.5  # between two looks at the stamps
_SHARE = 0.05  # of the time may go into counting while documents stream in
_KEEP_S = 24 * 3600  # hashes of former generations go after as long


class WordExchange(threading.Thread):
    """Tells what the shards of this process count, and teaches them what the others do."""

    def __init__(self, serving: Serving, state: Runtime) -> None:
        super().__init__(name="word-exchange", daemon=True)
        self._serving = serving
        self._state = state
        self._stopping = threading.Event()
        self._known: dict[tuple[str, int], tuple[bytes, WordTable]] = {}  # by hash and shard
        self._learnt: dict[tuple[str, int], tuple[bytes, ...]] = {}  # stamps, by hash and shard
        self._next_at: dict[tuple[str, int], float] = {}

    def stop(self) -> None:
        """End after the current step."""
        self._stopping.set()

    def run(self) -> None:
        """Exchange until stopped; what fails is tried again."""
        while not self._stopping.wait(_LOOK_S):
            try:
                self._exchange_all()
            except (RedisError, OSError, WireFormatError) as error:
                logger.debug("words of other shards are not known: %s", error)
            except Exception:
                logger.exception("word exchange: trying again")

    def _exchange_all(self) -> None:
        keys = set()
        for target, shard in list(self._serving.open_shards.shards.items()):
            if self._is_shared(target):
                keys.add(self._exchange(target, shard))
        for remembered in (self._known, self._learnt, self._next_at):
            for what in [what for what in remembered if what[0] not in keys]:
                del remembered[what]  # of former generations and layouts

    def _is_shared(self, target: Target) -> bool:
        index, _, of = target
        return self._state.plan.indexes[index].kind == "text" and of > 1

    def _exchange(self, target: Target, shard: Shard) -> str:
        """Exchange the counts of one shard; return the hash that they are in."""
        index, number, of = target
        name = self._state.plan.indexes[index].name
        key = names.words_key(self._state.collection, name, shard.place.generation, of)
        stamps: Mapping[bytes, bytes] = self._state.redis.hgetall(f"{key}:stamps")
        mine = str(shard.applied_seq).encode()
        if stamps.get(str(number).encode()) != mine:
            self._tell((key, number), shard)
        others = [other for other in range(of) if other != number]
        self._fetch(key, {other: stamps.get(str(other).encode()) for other in others})
        known = [self._known[key, other] for other in others if (key, other) in self._known]
        learnt = tuple(stamp for stamp, _ in known)
        if self._learnt.get((key, number)) != learnt:
            shard.learn_words([table for _, table in known])
            self._learnt[key, number] = learnt
        return key

    def _tell(self, what: tuple[str, int], shard: Shard) -> None:
        """Write the shard's counts, unless that would take too much of its time."""
        started = time.monotonic()
        if started < self._next_at.get(what, 0.0):
            return
        (key, number), seq, table = what, shard.applied_seq, shard.words()
        report = WordReport(
            table.documents, table.tokens, table.hashes, table.counts.astype(np.int32)
        )
        with self._state.redis.pipeline(transaction=True) as pipe:
            for suffix, value in (("", codec.dumps(report.to_wire())), (":stamps", str(seq))):
                pipe.hset(f"{key}{suffix}", str(number), value)
                pipe.expire(f"{key}{suffix}", _KEEP_S)
            pipe.execute()
        now = time.monotonic()
        self._next_at[what] = now + (now - started) / _SHARE

    def _fetch(self, key: str, stamps: Mapping[int, bytes | None]) -> None:
        """Read the counts of the shards whose stamps are new."""
        for other, stamp in stamps.items():
            known = self._known.get((key, other))
            if stamp is None or (known is not None and known[0] == stamp):
                continue  # lost: what was known of it still is the best guess
            raw = self._state.redis.hget(key, str(other))
            if raw is not None:
                report = WordReport.from_wire(codec.loads(raw))
                counts = report.counts.astype(np.int64)
                table = WordTable(report.documents, report.tokens, report.hashes, counts)
                self._known[key, other] = (stamp, table)
