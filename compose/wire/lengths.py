"""How many messages wait in queues and for how long: asked by kombu, whatever the broker."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from compose.wire.chords import SENT_AT

# KEYS: lists of messages, the oldest last. Returns when the oldest of all was sent, as text; the
# messages themselves may be megabytes of media and stay where they are.
_OLDEST = f"""
local oldest = false
for _, key in ipairs(KEYS) do
    local message = redis.call('LINDEX', key, -1)
    local sent_at = message and string.match(message, '"{SENT_AT}": ([%d.]+)')
    if sent_at and (not oldest or tonumber(sent_at) < tonumber(oldest)) then oldest = sent_at end
end
return oldest
"""


def lengths(connection: Any, queues: Iterable[str]) -> dict[str, int]:
    """Return the number of messages that nobody has taken yet, by queue.

    A queue that does not exist holds none: Redis has queues only while something is in them, and
    RabbitMQ only once a worker or a message has declared them.

    Args:
        connection: kombu's, open.
        queues: their names.

    Raises:
        Whatever the transport raises when the broker is away.
    """
    found: dict[str, int] = {}
    channel = connection.channel()
    try:
        for queue in queues:
            try:
                found[queue] = int(channel.queue_declare(queue=queue, passive=True).message_count)
            except connection.channel_errors:
                found[queue] = 0
                if not getattr(channel, "is_open", True):  # AMQP closes one that asked in vain
                    channel = connection.channel()
    finally:
        channel.close()
    return found


def ages(connection: Any, queues: Iterable[str]) -> dict[str, float]:
    """Return for how many seconds the oldest message has waited, by queue; 0 where none waits.

    Empty with a broker that does not let a message be looked at without taking it: all but Redis.
    """
    if connection.transport.driver_type != "redis":
        return {}
    found: dict[str, float] = {}
    channel = connection.channel()
    try:
        for queue in queues:
            lists = [channel._q_for_pri(queue, step) for step in channel.priority_steps]  # noqa: SLF001  # kombu tells nobody else
            sent_at = channel.client.eval(_OLDEST, len(lists), *lists)
            found[queue] = 0.0 if sent_at is None else max(0.0, time.time() - float(sent_at))
    finally:
        channel.close()
    return found
