"""How many messages wait in queues, whatever the broker: AMQP's own question, asked by kombu."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


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
