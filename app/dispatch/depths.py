"""How many messages wait in the queues of this deployment."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.broker_errors import BROKER_ERRORS
from compose.wire.lengths import ages, lengths

T = TypeVar("T", int, float)

_TIMEOUT_S = 2.0


class Depths:
    """Asks the broker, over a connection of its own, for it blocks and may be slow."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._connection: Any = None
        self._turn = asyncio.Lock()
        self._asking = threading.Lock()

    async def read(self, queues: Sequence[str]) -> dict[str, int]:
        """Return the messages waiting in each queue; nothing while the broker is away."""
        return await self._asked(lengths, queues)

    async def ages(self, queues: Sequence[str]) -> dict[str, float]:
        """Return the seconds the oldest message has waited in each queue, where that is known."""
        return await self._asked(ages, queues)

    async def _asked(
        self, ask: Callable[[Any, Sequence[str]], dict[str, T]], queues: Sequence[str]
    ) -> dict[str, T]:
        try:
            async with asyncio.timeout(_TIMEOUT_S), self._turn:
                if self._asking.locked():
                    return {}  # one that was given up still waits: no second thread waits for it
                return await asyncio.to_thread(self._read, ask, queues)
        except TimeoutError:
            return {}

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            with contextlib.suppress(*BROKER_ERRORS):
                self._connection.release()
            self._connection = None

    def _read(
        self, ask: Callable[[Any, Sequence[str]], dict[str, T]], queues: Sequence[str]
    ) -> dict[str, T]:
        with self._asking:
            try:
                if self._connection is None:
                    self._connection = self._app.connection_for_read()
                    self._connection.ensure_connection(max_retries=1, timeout=_TIMEOUT_S)
                return ask(self._connection, queues)
            except BROKER_ERRORS:
                self.close()
                return {}
