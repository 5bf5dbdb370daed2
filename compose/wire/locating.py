"""Where messages wait that nobody takes: to name the culprit, once a request is late."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

_BULK: Final = ":9"  # suffix of the list of a Redis queue that holds bulk work


def first_waiting(app: Any, *, queues: Sequence[str]) -> str | None:
    """Return the first of some queues in which messages wait; None when in none, or not known.

    Args:
        app: the Celery app. With a broker that is no Redis nothing is known.
        queues: those on the way of a message, in order.
    """
    client = app.backend.client
    for queue in queues:
        if client.llen(queue) or client.llen(queue + _BULK):
            return queue
    return None
