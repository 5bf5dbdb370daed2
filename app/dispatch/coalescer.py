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


_GATHER_S = 0.004  # without a newcomer, after which the rest of a crowd is not waited for


@dataclass(slots=True, eq=False)
class _Waiting(Generic[Q, A]):
    query: Q
    answer: asyncio.Future[A]


class Coalescer(Generic[K, Q, A]):
    """Gathers queries of equal parameters while batches are under way.

    While fewer than ``in_flight`` batches are under way, a query leaves at once, alone. While
    they are, queries gather, and leave together as soon as one batch is back and an equal share of
    the crowd has come: clients whose answers came together ask again one by one, and the first of
    them must not leave alone. So the size of the batches follows the load.

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
        self._crowd = 0  # queries lately held at one time
        self._asked = 0
        self._gathering: asyncio.TimerHandle | None = None
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
        self._asked += 1
        self._crowd = max(self._held, self._crowd - 1)
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
            if self._is_early(len(self._waiting[key])):
                return
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

    def _is_early(self, waiting: int) -> bool:
        """Tell whether to wait a moment for more; never while no batch is under way."""
        if not self._under_way or waiting >= min(self._most, self._crowd // self._in_flight):
            return False
        if self._gathering is None:
            self._gather()
        return True

    def _gather(self) -> None:
        loop = asyncio.get_running_loop()
        self._gathering = loop.call_later(_GATHER_S, self._gathered, self._asked)

    def _gathered(self, asked: int) -> None:
        """Send what has come, however little, once nobody comes any more."""
        if self._asked != asked:
            self._gather()
            return
        self._gathering = None
        self._crowd = 0  # those who were waited for are gone
        self._pump()

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
