"""A collection encoded again beside what serves: document by document, then swapped at once.

All that must not be lost is in SQL: the open job, and which documents the new generation has.
So a dispatcher that takes over goes on where the other stopped.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field

from compose.wire import codec, names
from indexstore.model import Job, PendingDocument
from workers.index.building import Building
from workers.index.windows import publish
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_LOOK_S = 0.25
_TELL_S = 1.0  # between two notes of how far it is
_TRIES = 3  # of a document whose batches end without an answer
_MOST_LOST = 0.2  # of the documents: with more of them refused, something else is wrong
_HOLD_S = 30.0  # new documents wait no longer than this for a swap, then the swap waits


@dataclass(slots=True)
class _Work:
    """A reindexing under way, as far as it need not survive this process."""

    job: Job
    generation: int
    cursor: str = ""
    found: int = 0  # in this pass over the documents
    window: dict[str, int] = field(default_factory=dict)  # document: content that is under way
    due: float = 0.0
    tries: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    told_at: float = 0.0
    held_at: float | None = None
    building: Building | None = None  # None: its segments are not ordered yet


class Reindexer:
    """Leads the open reindexing of a collection to its end, a short step at a time."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self._work: _Work | None = None
        self._looked_at = 0.0
        self._purge_at: float | None = time.monotonic() + float(state.settings["retired_grace_s"])

    def step(self) -> bool:
        """Do what can be done now; tell whether new documents must wait for a swap."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            self._advance(now)
        work = self._work
        return work is not None and work.held_at is not None and now - work.held_at < _HOLD_S

    def _advance(self, now: float) -> None:
        state = self._state
        jobs = state.ledger.open_jobs(state.collection, kind="reindex")
        if not jobs:
            self._work = None
            self._purge(now)
            return
        if self._work is None or self._work.job.id != jobs[0].id:
            self._work = _Work(jobs[0], int(jobs[0].payload or 0))
            logger.info("generation %d is being made", self._work.generation)
        work = self._work
        if work.generation <= state.generation():  # asked for twice at the same moment
            state.ledger.finish_job(work.job.id, "completed")
            return
        self._tell(work, now)
        self._take_refusals(work)
        if self._waits(work, now):
            return
        pending = self._next(work)
        if pending:
            publish(state, pending, work.generation)
            work.window |= {one.document.doc_id: one.content_version for one in pending}
            work.due = now + float(state.settings["lease_s"])
        elif not work.window:
            self._end_pass(work, now)

    def _waits(self, work: _Work, now: float) -> bool:
        """Tell whether the window is still full; what is overdue leaves it and counts a try."""
        if not work.window:
            return False
        state = self._state
        left = state.generations.still_missing(state.collection, work.generation, [*work.window])
        # A content that was re-written meanwhile is superseded; the next pass finds the newer one.
        work.window = {
            doc_id: content
            for doc_id, content in work.window.items()
            if left.get(doc_id) == content and doc_id not in work.refused
        }
        if work.window and now >= work.due:
            for doc_id in work.window:
                work.tries[doc_id] = work.tries.get(doc_id, 0) + 1
                if work.tries[doc_id] >= _TRIES:
                    work.refused[doc_id] = "its batches ended without an answer; see the logs"
            work.window = {}
        return len(work.window) > int(state.settings["window_documents"]) // 4

    def _next(self, work: _Work) -> list[PendingDocument]:
        """Return documents to publish, and remember where to go on."""
        state = self._state
        room = int(state.settings["window_documents"]) - len(work.window)
        found = state.generations.missing_documents(
            state.collection, work.generation, after=work.cursor, limit=room
        )
        if found:
            work.cursor = found[-1].document.doc_id
        wanted = [
            one
            for one in found
            if one.document.doc_id not in work.refused and one.document.doc_id not in work.window
        ]
        work.found += len(wanted)
        return wanted if wanted or not found else self._next(work)

    def _end_pass(self, work: _Work, now: float) -> None:
        """Look from the beginning again; when little was missing, try to let it serve."""
        found, work.found, work.cursor = work.found, 0, ""
        if work.held_at is not None and now - work.held_at > 2 * _HOLD_S:
            work.held_at = None
        is_near = found <= int(self._state.settings["window_documents"]) // 4
        if not is_near or self._lost_too_many(work) or not self._is_built(work, now):
            return
        if work.held_at is None:
            work.held_at = now  # the last few come in while nothing new is published
        self._swap(work, now)

    def _swap(self, work: _Work, now: float) -> None:
        state = self._state
        if not state.generations.swap(
            state.collection, work.generation, job_id=work.job.id, without=work.refused
        ):
            return
        logger.info("generation %d serves; %d refused", work.generation, len(work.refused))
        state.announce_log()
        self._work = None
        self._purge_at = now + float(state.settings["retired_grace_s"])

    def _lost_too_many(self, work: _Work) -> bool:
        """End the job when so many documents are refused that the old generation is better."""
        state = self._state
        shown = state.generations.shown(state.collection)
        if len(work.refused) <= max(1.0, _MOST_LOST * shown):
            return False
        doc_id, reason = next(iter(work.refused.items()))
        error = (
            f"{len(work.refused)} of {shown} documents could not be encoded anew, so generation "
            f"{work.generation} does not serve; the first, {doc_id}: {reason}"
        )
        state.ledger.finish_job(work.job.id, "failed", error=error)
        self._work = None
        return True

    def _take_refusals(self, work: _Work) -> None:
        """Read which documents the stages could not encode."""
        state = self._state
        key = names.refused_key(state.collection, work.generation)
        for raw in state.redis.lrange(key, 0, -1):
            doc_id, reason = codec.loads(raw)
            work.refused[str(doc_id)] = str(reason)

    def _tell(self, work: _Work, now: float) -> None:
        """Note in the job how far it is."""
        if now - work.told_at < _TELL_S:
            return
        work.told_at = now
        state = self._state
        shown = state.generations.shown(state.collection)
        missing = state.generations.missing(state.collection, work.generation)
        failed = min(missing, len(work.refused))
        counts = {"indexed": shown - missing, "queued": missing - failed, "failed": failed}
        state.ledger.note_progress(work.job.id, counts, total=shown)

    def _is_built(self, work: _Work, now: float) -> bool:
        """Order the segments of the new generation; tell whether they are there."""
        if work.building is None:
            work.building = Building.of(self._state, self._state.targets(), work.generation)
        return work.building.is_done(self._state, now)

    def _purge(self, now: float) -> None:
        """Throw away a batch of what old generations left, once nobody reads it any more."""
        if self._purge_at is None or now < self._purge_at:
            return
        if not self._state.generations.purge_generations(self._state.collection):
            self._purge_at = None
