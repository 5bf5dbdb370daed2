"""kombu's Redis transport, with fewer round trips a message.

kombu 5.7 builds a ``redis.Redis`` anew whenever it publishes, reserves or acknowledges a message;
with redis-py 8 that takes longer than the command itself. A client holds no connection, only its
pool's, so one a channel serves them all.

Besides, it writes every message that a worker takes into a hash, and deletes it there once it is
acknowledged, so that it can be delivered again. A query needs neither: whoever awaits the answer
asks again when a worker is gone, and when its deadline has passed nobody wants it.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis
from kombu.transport import virtual

from compose.wire.chords import AWAITED


class QoS(kombu_redis.QoS):
    """What a consumer has in hand; what is awaited stays in its memory alone."""

    def append(self, message: Any, delivery_tag: Any) -> None:
        """Note that a message was taken."""
        if AWAITED in message.headers:
            virtual.QoS.append(self, message, delivery_tag)
        else:
            super().append(message, delivery_tag)

    def ack(self, delivery_tag: Any) -> None:
        """Note that a message is done with."""
        if self._awaited(delivery_tag) is not None:
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Give a message back to its queue."""
        message = self._awaited(tag)
        if message is None:
            super().restore_by_tag(tag, client, leftmost)
            return
        to = message.delivery_info
        with self.channel.conn_or_acquire(client) as connected:
            self.channel._do_restore_message(  # noqa: SLF001  # kombu's own, of its subclass
                message._raw,  # noqa: SLF001
                to["exchange"],
                to["routing_key"],
                connected,
                leftmost,
            )

    def _awaited(self, tag: Any) -> Any:
        """Return the message of this tag if somebody awaits what comes of it."""
        message = self._delivered.get(tag)
        return message if message is not None and AWAITED in message.headers else None


class Channel(kombu_redis.Channel):
    """A channel that keeps its client for as long as its connection pool lives."""

    QoS = QoS
    _kept: tuple[Any, Any] | None = None  # the pool, and the client of it

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Return a client: of its own for a consumer's blocking connection, else the shared one."""
        if asynchronous:
            return super()._create_client(asynchronous=True)
        pool = self.pool
        if self._kept is None or self._kept[0] is not pool:
            self._kept = (pool, super()._create_client())
        return self._kept[1]


class Transport(kombu_redis.Transport):
    """The Redis transport over those channels."""

    Channel = Channel
