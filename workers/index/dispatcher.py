"""The dispatcher: the one place that sends documents from the ledger to the stages.

Accepting a document only writes the ledger; this thread, in whichever index worker holds the
lease, publishes what is queued, in windows of bounded size, and publishes again what was lost:
documents whose lease ran out, and everything under way when the broker comes back empty.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Sequence

from celery import current_app
from redis.exceptions import RedisError

from compose.wire import chords, names
from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.errors import CollectionNotFoundError, IndexStoreError
from indexstore.model import PendingDocument
from workers.handing_on import hand_on_documents
from workers.index.announcing import announce_closed_jobs
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

LEASE_TTL_S = 3.0  # another worker takes over when the holder was silent for as long
_POLL_S = 0.5
_MAX_TEXT_BYTES = 1 << 20  # a message holds about as much text, so that no queue entry is huge


class Dispatcher(threading.Thread):
    """Publishes queued documents for as long as its worker lives and holds the lease."""

    def __init__(self, state: Runtime) -> None:
        super().__init__(name="dispatcher", daemon=True)
        self._state = state
        self._owner = f"{uuid.uuid4()}"
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the current step and give the lease back."""
        self._stopping.set()

    def run(self) -> None:
        """Dispatch until stopped; whatever fails is logged and tried again."""
        while not self._stopping.is_set():
            try:
                self._step()
            except (RedisError, OSError, IndexStoreError, current_app.OperationalError) as error:
                logger.warning("dispatcher: %s: %s; trying again", type(error).__name__, error)
                self._stopping.wait(_POLL_S)
            except Exception:
                logger.exception("dispatcher: trying again")
                self._stopping.wait(_POLL_S)
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
        if not self.publish_window():
            announce_closed_jobs(state)
            state.redis.blpop([names.poke_key(state.collection)], timeout=_POLL_S)
            # One look at the ledger answers all pokes that came meanwhile.
            state.redis.delete(names.poke_key(state.collection))

    def _notice_lost_broker(self) -> None:
        """Release all leases when the broker has lost its data: what it held is gone."""
        state = self._state
        key = names.broker_life_key(state.collection)
        if state.redis.set(key, self._owner, nx=True):
            count = state.ledger.release_leases(state.collection)
            if count:
                logger.warning("the broker came up empty: %d documents are sent again", count)

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
        pending = state.ledger.lease(
            state.collection, limit=room, lease_s=float(settings["lease_s"]), now=time.time()
        )
        if pending:
            self._publish(pending, info.generation)
        return len(pending)

    def _publish(self, pending: Sequence[PendingDocument], generation: int) -> None:
        """Publish the documents as one chord: a header a batch, the callback ends the window."""
        state = self._state
        batches = _cut_batches(pending, int(state.settings["document_batch"]))
        group_id = f"window-{uuid.uuid4()}"
        chords.arm(current_app, group_id, len(batches))
        with (
            current_app.amqp.producer_pool.acquire(block=True, timeout=2) as producer,
            producer.batch(),
        ):
            for position, documents in enumerate(batches):
                batch = DocumentBatch(
                    batch_id=f"{group_id}-{position}",
                    collection=state.collection,
                    generation=generation,
                    group_id=group_id,
                    group_index=position,
                    stage=0,
                    items=tuple(_item(document).to_wire() for document in documents),
                )
                hand_on_documents(state, batch, producer=producer)


def _cut_batches(pending: Sequence[PendingDocument], most: int) -> list[list[PendingDocument]]:
    batches: list[list[PendingDocument]] = []
    size = 0
    for document in pending:
        length = len(str(document.document.content.get("text", "")))
        if not batches or len(batches[-1]) >= most or size + length > _MAX_TEXT_BYTES:
            batches.append([])
            size = 0
        batches[-1].append(document)
        size += length
    return batches


def _item(pending: PendingDocument) -> DocumentItem:
    document = pending.document
    if document.vector is None:
        return DocumentItem(
            document.doc_id, pending.content_version, document.modality, dict(document.content)
        )
    return DocumentItem.with_vector(
        document.doc_id,
        pending.content_version,
        modality=document.modality,
        content=dict(document.content),
        vector=document.vector,
    )
