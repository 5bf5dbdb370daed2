"""What workers do with a medium while somebody waits: bring it, or make a preview of it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.dispatch.errors import NotReadyError
from app.dispatch.exchange import Exchange, Way, checked
from compose.wire import chords
from compose.wire.chords import Call
from compose.wire.messages import MediaTask
from compose.wire.presence import Directory


class MediaTasks:
    """Sends such tasks to whoever does them, and waits for what comes of them."""

    def __init__(self, exchange: Exchange, *, directory: Directory, api_id: str) -> None:
        self._exchange = exchange
        self._directory = directory
        self._api_id = api_id

    async def run(
        self, task: str, queue: str, arguments: Mapping[str, Any], *, timeout_s: float
    ) -> tuple[Any, ...]:
        """Have a task done, and return what came of it.

        Args:
            task: its name; idempotent.
            queue: the queue of those who do it.
            arguments: plain data.
            timeout_s: seconds to wait.

        Raises:
            NotReadyError: nobody does such things now. StageError: it could not be done.
            DeadlineError: it took too long.
        """
        if not self._directory.serving(queue):
            cure = f"start `celery -A app worker -Q {queue}`"
            raise NotReadyError(f"nobody consumes queue {queue!r}", cure)
        deadline = time.time() + timeout_s
        order = MediaTask(uuid.uuid4().hex, self._api_id, arguments, deadline)
        path = [(queue, queue)]

        def send(app: Any, order: MediaTask) -> None:
            chords.send(app, Call(task, queue, order.to_wire()), awaited=True)

        def afresh(order: MediaTask) -> MediaTask | None:
            is_served = self._directory.serving(queue)
            return replace(order, batch_id=uuid.uuid4().hex) if is_served else None

        with self._exchange.conversation(order, Way(send, lambda _: path, afresh)) as talk:
            reply = await talk.replied(deadline)
        if reply is None:
            raise self._exchange.late_on(path, timeout_s)
        return checked(reply).parts
