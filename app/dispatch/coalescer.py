"""The coalescer: alone a query leaves at once, in a crowd queries share the cost of a chord."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from app.dispatch.errors import OverloadedError

K = TypeVar("K", bound=Hashable)
Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Q, A]):
    query: Q
    answer: asyncio.Future[A]


class Coalescer(Generic[K, Q, A]):
    """Gathers queries of equal parameters while batches are under way.

    While fewer than ``in_flight`` batches are under way, a query leaves at once, alone. While
    they are, queries gather, and leave together as soon as one batch is back: so the size of the
    batches follows the load, without a timer.

    Args:
        run: sends one batch and returns one answer a query, in order; an answer that is an
            exception is raised to that query alone.
        in_flight: batches under way at one time. most: queries in a batch.
        capacity: queries held at one time; beyond it a query is refused.
    """

    def __init__(
        self,
        run: Callable[[K, Sequence[Q]], Awaitable[Sequence[A | Exception]]],
        *,
        in_flight: int,
        most: int,
        capacity: int,
    ) -> None:
        self._run = run
        self._in_flight = in_flight
        self._most = most
        self._capacity = capacity
        self._waiting: dict[K, deque[_Waiting[Q, A]]] = {}
        self._held = 0
        self._under_way = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, key: K, query: Q) -> A:
        """Answer one query; those with the same ``key`` may travel together.

        Raises:
            OverloadedError: ``capacity`` queries are held already.
        """
        if self._held >= self._capacity:
            raise OverloadedError(1.0, self._held)
        one: _Waiting[Q, A] = _Waiting(query, asyncio.get_running_loop().create_future())
        self._held += 1
        self._waiting.setdefault(key, deque()).append(one)
        self._pump()
        try:
            return await one.answer
        finally:
            self._held -= 1

    def _pump(self) -> None:
        """Send batches while there is room: the parameters that have waited longest go first."""
        while self._waiting and self._under_way < self._in_flight:
            key = next(iter(self._waiting))
            queue = self._waiting.pop(key)
            batch = [queue.popleft() for _ in range(min(self._most, len(queue)))]
            if queue:
                self._waiting[key] = queue  # behind the others: nobody waits for ever
            batch = [one for one in batch if not one.answer.done()]  # clients that went away
            if batch:
                self._under_way += 1
                task = asyncio.create_task(self._send(key, batch))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _send(self, key: K, batch: Sequence[_Waiting[Q, A]]) -> None:
        try:
            answers = await self._run(key, [one.query for one in batch])
        except Exception as error:  # noqa: BLE001  # it belongs to every query of the batch
            answers = [error] * len(batch)
        finally:
            self._under_way -= 1
            self._pump()
        for one, answer in zip(batch, answers, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
