"""The shards a process has open: those that shall be, and former ones while queries want them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from compose.wire.messages import Target
from indexstore.errors import IndexStoreError
from indexstore.layouts import Layout
from indexstore.shard import Shard
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_FORMER_S = 30.0  # for queries that were sent before a change; longer than they wait
_RETRY_S = 2.0  # before what could not be opened is tried again


@dataclass(frozen=True, slots=True)
class _Former:
    """A shard that served before, and when to let go of it."""

    target: Target
    shard: Shard
    until: float


class OpenShards:
    """Opens and closes shards as generations and layouts come and go.

    What is new is opened in a thread of its own, for that may take long, and what serves must not
    fall behind the log meanwhile.
    """

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self.shards: dict[Target, Shard] = {}
        self.layout: list[Layout] = []
        self._former: list[_Former] = []
        self._fresh: dict[Target, Shard] = {}
        self._opener: threading.Thread | None = None
        self._retry_at = 0.0

    def load(self) -> None:
        """Open every shard whose queue this process consumes.

        Raises:
            IndexStoreError: one cannot be opened.
            QueueWithoutShardError: a queue has no shard, in what serves or in what shall.
        """
        generation = self._look()
        wanted = self._wanted()
        self._refuse_empty_queues(wanted)
        self.shards = {target: self._open(target, generation) for target in wanted}

    def follow(self) -> bool:
        """Take a step towards what shall be open; tell whether something else serves now."""
        generation = self._look()
        now = time.monotonic()
        self._close_former(now)
        wanted = self._wanted()
        changed = self._take_fresh(wanted, generation, now)
        changed |= self._drop(set(self.shards) - wanted, now)
        missing = [
            target
            for target in sorted(wanted)
            if target not in self.shards or self.shards[target].place.generation != generation
        ]
        if missing and self._opener is None and now >= self._retry_at:
            self._opener = threading.Thread(
                target=self._open_all, args=(missing, generation), name="shard-opener", daemon=True
            )
            self._opener.start()
        return changed

    def find(self, target: Target, generation: int) -> Shard | None:
        """Return a shard in a generation; None when it is not open.

        Args:
            target: of what serves, or of a former layout.
            generation: 0 for the newest that is open.
        """
        serving = self.shards.get(target)
        found = [] if serving is None else [serving]
        found += [former.shard for former in reversed(self._former) if former.target == target]
        matching = (shard for shard in found if generation in (0, shard.place.generation))
        return next(matching, None)

    def former(self) -> list[Shard]:
        """Return the shards that served before and are kept for a while."""
        return [former.shard for former in self._former]

    def serves(self, target: Target) -> bool:
        """Tell whether queries go to this layout now."""
        return self.layout[target[0]].shards == target[2]

    def is_lasting(self, target: Target) -> bool:
        """Tell whether this layout will still be there when a segment has been built for it."""
        return self.layout[target[0]].wanted == target[2]

    # -- within

    def _look(self) -> int:
        """Read what the ledger says now; return the generation that serves."""
        self.layout = self._state.layout()
        return self._state.generation()

    def _wanted(self) -> set[Target]:
        return {
            (index, shard, of)
            for index, shard in self._state.shards_here()
            for of in (self.layout[index].shards, self.layout[index].wanted)
            if shard < of
        }

    def _refuse_empty_queues(self, wanted: Iterable[Target]) -> None:
        served = {target[:2] for target in wanted}
        for index, shard in self._state.shards_here():
            if (index, shard) not in served:
                plan = self._state.plan.indexes[index]
                raise QueueWithoutShardError(plan.queue(shard), self.layout[index].widest)

    def _open(self, target: Target, generation: int) -> Shard:
        return Shard.open(self._state.place(target, generation))

    def _open_all(self, missing: Iterable[Target], generation: int) -> None:
        for target in missing:
            try:
                self._fresh[target] = self._open(target, generation)
            except IndexStoreError as error:
                logger.warning("%s cannot be opened yet: %s", _named(target), error)
                self._retry_at = time.monotonic() + _RETRY_S
            except Exception:
                logger.exception("%s cannot be opened yet", _named(target))
                self._retry_at = time.monotonic() + _RETRY_S

    def _take_fresh(self, wanted: set[Target], generation: int, now: float) -> bool:
        """Let what was opened meanwhile serve, where it is still what shall."""
        if self._opener is None or self._opener.is_alive():
            return False
        self._opener = None
        opened, self._fresh = self._fresh, {}
        fresh = {
            target: shard
            for target, shard in opened.items()
            if target in wanted and shard.place.generation == generation
        }
        for target in opened.keys() - fresh.keys():  # something else shall serve by now
            opened[target].close()
        before = {target: self.shards[target] for target in fresh if target in self.shards}
        self._retire(before, now)
        self.shards = {**self.shards, **fresh}
        for target in fresh:
            logger.info("serving %s, generation %d", _named(target), generation)
        return bool(fresh)

    def _drop(self, gone: set[Target], now: float) -> bool:
        self._retire({target: self.shards[target] for target in gone}, now)
        self.shards = {t: shard for t, shard in self.shards.items() if t not in gone}
        return bool(gone)

    def _retire(self, shards: Mapping[Target, Shard], now: float) -> None:
        self._former += [_Former(t, shard, now + _FORMER_S) for t, shard in shards.items()]

    def _close_former(self, now: float) -> None:
        """Let go of the shards that no query can want any more."""
        for former in self._former:
            if now >= former.until:
                former.shard.close()
        self._former = [former for former in self._former if now < former.until]


def _named(target: Target) -> str:
    index, shard, of = target
    return f"shard {shard} of {of} of index {index}"


class QueueWithoutShardError(Exception):
    """A worker was started for a shard that the collection does not have."""

    def __init__(self, queue: str, shards: int) -> None:
        super().__init__(queue, shards)
        self.queue, self.shards = queue, shards

    def __str__(self) -> str:
        return (
            f"the index behind queue {self.queue!r} has {self.shards} shards; start a worker for "
            "one of those, or change their number with `gnes reshard`"
        )
