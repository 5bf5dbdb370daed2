"""Where a message is that nobody has answered: to name the culprit, once a request is late.

Reads what kombu's Redis transport keeps (tests/e2e/test_faults.py holds it to that); with another
broker nothing is found, and whoever asks falls back to guessing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

_UNACKED: Final = "unacked"  # kombu's hash of the messages that workers have in their hands
_MOST: Final = 64  # messages in hands that are looked at; more would hold up whoever is late
_BULK: Final = ":9"  # suffix of the queue's list for bulk work


def queue_of(app: Any, batch_id: str, queues: Sequence[str]) -> str | None:
    """Return the queue from which a batch was taken or in which it waits; None when unknown.

    Args:
        app: the Celery app.
        batch_id: the batch, named in the id or as the chord of each of its tasks.
        queues: those on the way of the batch, in order.
    """
    client = app.backend.client
    if client.hlen(_UNACKED) <= _MOST:
        for raw in client.hvals(_UNACKED):
            if batch_id.encode() in raw:
                return str(json.loads(raw)[2])
    for queue in queues:
        if client.llen(queue) or client.llen(queue + _BULK):
            return queue
    return None
