"""Connections to the broker, single ones and pooled ones, over our transport where it is Redis."""

from __future__ import annotations

from typing import Any

from kombu.connection import Connection, ConnectionPool, PooledConnection

from app.redis_transport import Transport


class EagerConnection(Connection):
    """A connection that a returned broker does not wait for, over our transport where it is Redis.

    The transport is put in here, not by Celery's setting, which would take the place of the scheme
    in the broker's URL: Flower reads there what kind of broker it is.
    """

    def get_transport_cls(self) -> Any:
        """Return the transport of the URL's scheme; ours in the place of kombu's for Redis."""
        found = super().get_transport_cls()  # type: ignore[no-untyped-call]
        return Transport if found is Transport.__base__ else found

    def ensure_connection(
        self, errback: Any = None, max_retries: int | None = None, **options: Any
    ) -> Any:
        """Try again within a second; kombu's own pauses grow to half a minute."""
        pauses = {"interval_start": 0.2, "interval_step": 0.2, "interval_max": 1.0}
        options = {"errback": errback, "max_retries": max_retries, **pauses, **options}
        return super().ensure_connection(**options)  # type: ignore[no-untyped-call]

    def Pool(self, limit: int | None = None, **kwargs: Any) -> Any:  # noqa: N802  # kombu's name
        """Return a pool of connections like this one."""
        return _Pool(self, limit, **kwargs)  # type: ignore[no-untyped-call]


class _Pooled(EagerConnection, PooledConnection):
    """One of a pool: what publishes."""


class _Pool(ConnectionPool):
    """A pool of such connections; kombu's own makes plain ones, whatever it was asked by."""

    def new(self) -> Any:
        """Return another connection like the first."""
        info = self.connection._info(resolve=False)  # noqa: SLF001  # as kombu's own does
        return _Pooled(self, **dict(info))  # type: ignore[no-untyped-call]
