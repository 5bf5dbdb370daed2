"""Jobs that one build worker does by itself: sent to it, and again when they were lost."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from celery import current_app

from compose.wire import chords, names
from compose.wire.chords import Call
from indexstore.model import Job
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_LOOK_S = 0.5
_FIRST_PAUSE_S = 10.0  # until a job that nobody has begun is sent again, perhaps in vain
_LONGEST_PAUSE_S = 300.0
_MOST_DEATHS = 3  # of workers, before the job is taken for their cause

#: The task of each kind of job.
TASKS = {"train": names.TRAIN, "snapshot": names.SNAPSHOT, "restore": names.RESTORE}


@dataclass(slots=True)
class _Order:
    """What the dispatcher knows of a job that it has sent."""

    job_id: str
    again_at: float
    pause_s: float = _FIRST_PAUSE_S
    runs: bool = False
    deaths: int = 0


class Errands:
    """Sees to the open jobs of one kind, one after the other, in the order they came."""

    def __init__(self, state: Runtime, kind: str) -> None:
        self._state, self._kind = state, kind
        self._order: _Order | None = None
        self._looked_at = 0.0

    def see_to(self) -> None:
        """Send the oldest open job if it is time; give up one that ends its workers."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        state = self._state
        jobs = state.ledger.open_jobs(state.collection, kind=self._kind)
        if not jobs:
            self._order = None
            return
        order = self._order
        if order is None or order.job_id != jobs[0].id:
            self._order = order = _Order(jobs[0].id, again_at=now)
        lease = names.errand_lease(self._kind, state.collection)
        if state.ledger.lease_owner(lease) is not None:
            order.runs = True
        elif order.runs:
            self._note_death(order, jobs[0])
        elif now >= order.again_at:
            self._send(order, now)

    def _note_death(self, order: _Order, job: Job) -> None:
        """Note that the worker which held the lease is gone, and the job not done."""
        if self._state.ledger.job(job.id).finished_at is not None:
            return
        order.runs = False
        order.deaths += 1
        order.again_at = 0.0
        logger.warning("job %s (%s) was lost with its worker", job.id, self._kind)
        if order.deaths >= _MOST_DEATHS:
            error = (
                f"given up: it ended {order.deaths} workers; they may lack memory for it, or cannot"
                " reach the store: see their logs"
            )
            self._state.ledger.finish_job(job.id, "failed", error=error)

    def _send(self, order: _Order, now: float) -> None:
        call = Call(TASKS[self._kind], names.BUILD_QUEUE, {"job_id": order.job_id})
        chords.send(current_app, call, awaited=False)
        order.again_at = now + order.pause_s
        order.pause_s = min(2 * order.pause_s, _LONGEST_PAUSE_S)
