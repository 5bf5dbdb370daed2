"""The dispatcher: the one place that sends documents from the ledger to the stages.

Accepting a document only writes the ledger; this thread, in whichever index worker holds the
lease, publishes what is queued, in windows of bounded size, and publishes again what was lost:
what a stage gave back, documents whose lease ran out, and everything under way when the broker
comes back empty.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from compose.wire import codec, names
from indexstore.errors import CollectionNotFoundError, IndexStoreError
from indexstore.model import PendingDocument
from workers.index.announcing import announce_closed_jobs
from workers.index.errands import TASKS, Errands
from workers.index.lost import LostWork, waiting_documents
from workers.index.reindexing import Reindexer
from workers.index.resharding import Resharder
from workers.index.standin import StandIn
from workers.index.windows import publish
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

LEASE_TTL_S = 3.0  # another worker takes over when the holder was silent for as long
MAX_ATTEMPTS = 5  # a document that ended its worker as often is given up
_POLL_S = 0.5
_PUBLISH_S = 5.0  # a dispatcher that dies while it publishes delays its window by no more
_STORAGE_PAUSE_S = 1.0  # before what the log could not take is sent again
_RETURNS = 256  # what stages gave back, worked off at a time


class Dispatcher(threading.Thread):
    """Publishes queued documents for as long as its worker lives and holds the lease."""

    def __init__(self, state: Runtime) -> None:
        super().__init__(name="dispatcher", daemon=True)
        self._state = state
        self._owner = f"{uuid.uuid4()}"
        kinds = TASKS if state.plan.learners else TASKS.keys() - {"train"}
        self._errands = [Errands(state, kind) for kind in sorted(kinds)]
        self._reindexer = Reindexer(state)
        self._resharder = Resharder(state)
        self._lost = LostWork(state)
        self._stand_in = StandIn(state)
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the current step and give the lease back."""
        self._stopping.set()

    def run(self) -> None:
        """Dispatch until stopped; whatever fails is logged and tried again."""
        while not self._stopping.is_set():
            try:
                self._step()
            except (RedisError, OSError, IndexStoreError, KombuError) as error:
                logger.warning("dispatcher: %s: %s; trying again", type(error).__name__, error)
                self._stopping.wait(_POLL_S)
            except Exception:
                logger.exception("dispatcher: trying again")
                self._stopping.wait(_POLL_S)
        with suppress(IndexStoreError):  # it runs out by itself
            self._state.ledger.drop_lease(self._lease_name, self._owner)

    @property
    def _lease_name(self) -> str:
        return f"dispatch:{self._state.collection}"

    def _step(self) -> None:
        state = self._state
        if not state.ledger.take_lease(self._lease_name, self._owner, LEASE_TTL_S):
            self._stopping.wait(LEASE_TTL_S / 3)
            return
        self._notice_lost_broker()
        self._take_back()
        for errands in self._errands:
            errands.see_to()
        self._resharder.see_to()
        self._stand_in.see_to()
        holds_writes = self._reindexer.step()
        if holds_writes or not self.publish_window():
            announce_closed_jobs(state)
            self._lost.look()
            state.redis.blpop([names.poke_key(state.collection)], timeout=_POLL_S)
            # One look at the ledger answers all pokes that came meanwhile.
            state.redis.delete(names.poke_key(state.collection))

    def _notice_lost_broker(self) -> None:
        """Release all leases when the broker has lost its data: what it held is gone."""
        state = self._state
        key = names.broker_life_key(state.collection)
        if state.redis.exists(key):
            return
        # First the ledger, then the mark: who dies in between leaves it to the next to notice.
        count = state.ledger.release_leases(state.collection)
        state.redis.set(key, self._owner)
        if count:
            logger.warning("the broker came up empty: %d documents are sent again", count)

    def _take_back(self) -> None:
        """Free the documents that stages gave back: at once, where that was no attempt at all."""
        state = self._state
        key = names.returned_key(state.collection)
        returned = [codec.loads(raw) for raw in state.redis.lrange(key, 0, _RETURNS - 1)]
        if not returned:
            return
        for counts in (True, False):
            ids = [i for one in returned if one["counts"] is counts for i in one["doc_ids"]]
            if ids:
                state.ledger.hand_back(state.collection, ids, counts=counts)
        state.redis.ltrim(key, len(returned), -1)
        if not all(one["counts"] for one in returned):
            self._stopping.wait(_STORAGE_PAUSE_S)

    def publish_window(self) -> int:
        """Publish as many queued documents as the window has room for; return how many."""
        state = self._state
        settings = state.settings
        room = int(settings["window_documents"]) - state.ledger.outstanding(state.collection)
        if room < min(int(settings["document_batch"]), int(settings["window_documents"])):
            return 0
        try:
            info = state.ledger.collection(state.collection)
        except CollectionNotFoundError:
            return 0
        if state.ledger.has_overdue(state.collection) and waiting_documents(state):
            return 0  # they may be among those: late is not lost, and the queues drain meanwhile
        for doc_id in state.ledger.bury(state.collection, max_attempts=MAX_ATTEMPTS):
            logger.error("document %s is given up: each attempt ended without an answer", doc_id)
        pending = state.ledger.lease(
            state.collection,
            limit=room,
            lease_s=min(_PUBLISH_S, float(settings["lease_s"])),
            now=time.time(),
        )
        if pending:
            self._send(pending, info.generation)
        return len(pending)

    def _send(self, pending: Sequence[PendingDocument], generation: int) -> None:
        """Publish leased documents; the long lease begins once they are on their way."""
        state = self._state
        ids = [one.document.doc_id for one in pending]
        try:
            publish(state, pending, generation)
        except Exception:
            with suppress(IndexStoreError):
                state.ledger.hand_back(state.collection, ids, counts=False)
            raise
        state.ledger.extend_leases(state.collection, ids, lease_s=float(state.settings["lease_s"]))
