"""Waiting for an answer no longer than its client does."""

import asyncio
from types import TracebackType
from typing import Self

from starlette.requests import Request

from app.api.problems import Problem

#: Seconds of waiting after which it pays to listen for the client's going; most answers are faster.
LISTEN_AFTER_S = 0.25


class WhileConnected:
    """Cancel the block when the client closes its connection.

    The body must have been read: what comes next on this connection can only be its end.

    Raises:
        Problem: ``client_closed_request``, to be sent to nobody.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._listener: asyncio.Task[None] | None = None
        self._gone = False

    async def __aenter__(self) -> Self:
        """Start the clock; the connection is only listened to once the wait gets long."""
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine always runs in a task
        self._task = task
        self._timer = loop.call_later(LISTEN_AFTER_S, self._listen)
        return self

    def _listen(self) -> None:
        """Begin to listen, beside the waiting task."""
        self._listener = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        """Cancel the waiting task when the client goes."""
        while (await self._request.receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        self._task.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening; turn our own cancellation into a problem."""
        del error, trace
        self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()
        if self._gone and kind is asyncio.CancelledError and self._task.uncancel() == 0:
            raise Problem("client_closed_request", "the client closed the connection") from None
