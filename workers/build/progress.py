"""How far a job has come that a build worker does by itself, and whether it is still wanted."""

from __future__ import annotations

import time

from indexstore.model import Job
from workers.runtime import Runtime

_TELL_S = 1.0


class JobProgress:
    """Counts documents, tells the ledger now and then, and notices that the job was cancelled."""

    def __init__(self, state: Runtime, job: Job, done: str, total: int) -> None:
        self._state, self._job, self._done, self._total = state, job, done, total
        self.count = 0
        self._told_at = 0.0

    def add(self, number: int) -> bool:
        """Count documents; False when the job has been cancelled."""
        self.count += number
        now = time.monotonic()
        if now - self._told_at < _TELL_S:
            return True
        self._told_at = now
        self.tell()
        return self._state.ledger.job(self._job.id).finished_at is None

    def tell(self) -> None:
        """Write it down."""
        total = max(self._total, self.count)
        counts = {self._done: self.count, "queued": total - self.count}
        self._state.ledger.note_progress(self._job.id, counts, total=total)
