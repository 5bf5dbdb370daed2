"""Documents that are under way by the ledger's word, and nowhere by the broker's: lost, not late.

Redis hands a message out before it notes who has it, so a worker that dies in between takes the
message with it; others are dropped because nobody can read them. Their leases would run out too,
but that takes as long as the slowest work may.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from celery import current_app

from compose.wire import names
from compose.wire.lengths import lengths
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_AGE_S = 2.0  # what was sent since may be on its way to the broker
_LOOK_S = 1.0  # between two looks, both of which must find nothing
_MOST = 10_000  # documents looked after at a time
_TASKS = tuple(
    name.encode()
    for name in (names.FETCH, names.PREPROCESS_DOCUMENTS, names.ENCODE_DOCUMENTS, names.INDEX)
)


class LostWork:
    """Gives back the documents that no queue and no worker has any more."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self._suspects: dict[str, int] = {}
        self._looked_at = 0.0

    def look(self) -> None:
        """Look now and then; what twice was nowhere is given back to be sent again."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        state = self._state
        lease_s = float(state.settings["lease_s"])
        old = state.ledger.under_way(
            state.collection, until=time.time() + lease_s - _AGE_S, limit=_MOST
        )
        if not old or self._is_anything_under_way():
            self._suspects = {}
            return
        lost = [doc_id for doc_id, content in old.items() if self._suspects.get(doc_id) == content]
        self._suspects = old
        if lost:
            logger.warning("%d documents were lost on their way and are sent again", len(lost))
            state.ledger.hand_back(state.collection, lost, counts=True)

    def _is_anything_under_way(self) -> bool:
        """Tell whether the broker knows of a batch of documents, waiting or in somebody's hands."""
        if waiting_documents(self._state):
            return True
        with current_app.amqp.producer_pool.acquire(block=True, timeout=2) as producer:
            channel = producer.channel
            if not hasattr(channel, "unacked_key"):
                return True  # brokers other than Redis lose nothing in this way
            in_hands: Sequence[bytes] = channel.client.hvals(channel.unacked_key)
        return any(task in raw for raw in in_hands for task in _TASKS)


def waiting_documents(state: Runtime) -> bool:
    """Tell whether a queue on the documents' way holds messages that nobody has taken yet."""
    queues = {names.FETCH_QUEUE, names.INDEX_QUEUE, *(stage.queue for stage in state.plan.stages)}
    with current_app.pool.acquire(block=True, timeout=2) as connection:
        return any(lengths(connection, sorted(queues)).values())
