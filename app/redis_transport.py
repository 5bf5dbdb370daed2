"""kombu's Redis transport, with one client a channel instead of one for every command.

kombu 5.7 builds a ``redis.Redis`` anew whenever it publishes, reserves or acknowledges a message;
with redis-py 8 that takes longer than the command itself (two fifths of a reduce worker's time).
A client holds no connection, only its pool's, so one serves them all.
"""

from __future__ import annotations

from typing import Any

from kombu.transport import redis as kombu_redis

TRANSPORT = "app.redis_transport:Transport"


class Channel(kombu_redis.Channel):
    """A channel that keeps its client for as long as its connection pool lives."""

    _kept: tuple[Any, Any] | None = None  # the pool, and the client of it

    def _create_client(self, asynchronous: bool = False) -> Any:
        """Return a client: of its own for a consumer's blocking connection, else the shared one."""
        if asynchronous:
            return _new_client(super(), asynchronous=True)
        pool = self.pool
        if self._kept is None or self._kept[0] is not pool:
            self._kept = (pool, _new_client(super(), asynchronous=False))
        return self._kept[1]


def _new_client(channel: Any, *, asynchronous: bool) -> Any:
    return channel._create_client(asynchronous=asynchronous)  # noqa: SLF001  # kombu's own, of its subclass


class Transport(kombu_redis.Transport):
    """The Redis transport over those channels."""

    Channel = Channel
