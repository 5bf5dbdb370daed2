"""How many messages wait in the queues of this deployment."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Any

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from compose.wire.lengths import lengths

_TIMEOUT_S = 2.0


class Depths:
    """Asks the broker, over a connection of its own, for it blocks and may be slow."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._connection: Any = None
        self._asking = threading.Lock()

    async def read(self, queues: Sequence[str]) -> dict[str, int]:
        """Return the messages waiting in each queue; nothing while the broker is away."""
        if self._asking.locked():
            return {}  # an earlier question has found no answer yet: no second thread waits for it
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await asyncio.to_thread(self._read, queues)
        except TimeoutError:
            return {}

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(KombuError, RedisError, OSError):
                self._connection.release()
            self._connection = None

    def _read(self, queues: Sequence[str]) -> dict[str, int]:
        with self._asking:
            try:
                if self._connection is None:
                    self._connection = self._app.connection_for_read()
                    self._connection.ensure_connection(max_retries=1, timeout=_TIMEOUT_S)
                return lengths(self._connection, queues)
            except (KombuError, RedisError, OSError):
                self.close()
                return {}
