"""An index dealt out to another number of shards, while the old ones serve.

What shall be is in SQL (``indexstore.layouts``), and search workers open it by themselves. Here is
seen to it that segments are built in the new bounds, that every new shard is ready, and then, in
one moment, that queries go to them. A dispatcher that takes over goes on where the other stopped.
"""

from __future__ import annotations

import json
import logging
import time

from redis.exceptions import RedisError

from compose.wire import presence
from compose.wire.messages import Target
from indexstore.layouts import Layout
from indexstore.model import Job
from workers.index.building import Building
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_LOOK_S = 0.5


class Resharder:
    """Leads the layouts of a collection to what is wanted, a short step at a time."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self._building: tuple[set[Target], Building] | None = None
        self._looked_at = 0.0

    def see_to(self) -> None:
        """Do what can be done now."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        state = self._state
        jobs = state.ledger.open_jobs(state.collection, kind="reshard")
        for job in jobs:
            state.layouts.want(state.collection, json.loads(job.payload or "{}"))
        changing = {at: one for at, one in enumerate(state.layout()) if not one.is_settled}
        if not changing:
            self._end(jobs)
        elif not state.ledger.open_jobs(state.collection, kind="reindex"):
            self._advance(changing, jobs, now)

    def _advance(self, changing: dict[int, Layout], jobs: list[Job], now: float) -> None:
        state = self._state
        generation = state.generation()
        targets = {
            (at, shard, layout.wanted)
            for at, layout in changing.items()
            for shard in range(layout.wanted)
        }
        if self._building is None or self._building[0] != targets:
            self._building = (targets, Building.of(state, targets, generation))
            logger.info("%d shards are being made", len(targets))
        building = self._building[1]
        is_built = building.is_done(state, now)
        ready = self._ready(generation) & targets
        self._tell(jobs, len(targets), built=len(targets) - len(building.left), ready=len(ready))
        if is_built and ready == targets:
            names = [index.name for index in state.plan.indexes]
            wanted = {names[at]: layout.wanted for at, layout in changing.items()}
            if state.layouts.settle(state.collection, wanted):
                logger.info("shards now: %s", wanted)
                state.announce_log()
                self._end(jobs)

    def _ready(self, generation: int) -> set[Target]:
        """Return the shards that some worker has open and read to about the end of the log."""
        try:
            workers = presence.read_now(self._state.redis)
        except (RedisError, OSError):
            return set()
        return {
            (shard["index"], shard["shard"], shard["of"])
            for worker in workers
            for shard in worker.shards
            if shard["ready"] and shard["generation"] == generation
        }

    def _tell(self, jobs: list[Job], total: int, *, built: int, ready: int) -> None:
        """Note how far it is: half of the work is building, half is opening."""
        for job in jobs:
            counts = {"built": built, "ready": ready, "queued": total - min(built, ready)}
            self._state.ledger.note_progress(job.id, counts, total=total)

    def _end(self, jobs: list[Job]) -> None:
        self._building = None
        for job in jobs:
            shards = len(self._state.targets())
            self._state.ledger.note_progress(job.id, {"ready": shards}, total=shards)
            self._state.ledger.finish_job(job.id, "completed")
