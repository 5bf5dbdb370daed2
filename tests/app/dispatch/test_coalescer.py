"""The coalescer: alone at once, in a crowd together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.dispatch.coalescer import Coalescer
from app.dispatch.errors import OverloadedError


class Gate:
    """Answers a batch when it is opened; keeps what came, in order."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, list[int]]] = []
        self.open = asyncio.Event()

    async def run(self, key: str, queries: Sequence[int]) -> Sequence[int | Exception]:
        """Double every query; a negative one is refused."""
        self.batches.append((key, list(queries)))
        await self.open.wait()
        return [ValueError(query) if query < 0 else 2 * query for query in queries]


def coalescer(gate: Gate, *, capacity: int = 100, most: int = 4) -> Coalescer[str, int, int]:
    """Return a coalescer with one batch in flight."""
    return Coalescer(gate.run, in_flight=1, most=most, capacity=capacity)


def test_a_lone_query_leaves_at_once() -> None:
    """Nobody waits for company."""

    async def scenario() -> None:
        gate = Gate()
        gate.open.set()

        answer = await coalescer(gate).ask("a", 3)

        assert answer == 6
        assert gate.batches == [("a", [3])]

    asyncio.run(scenario())


def test_queries_gather_while_a_batch_is_under_way_and_leave_together() -> None:
    """The size of a batch follows the load; no batch is larger than allowed."""

    async def scenario() -> None:
        gate = Gate()
        it = coalescer(gate)
        asked = [asyncio.create_task(it.ask("a", n)) for n in range(7)]
        await asyncio.sleep(0)

        gate.open.set()
        answers = await asyncio.gather(*asked)

        assert answers == [2 * n for n in range(7)]
        assert gate.batches == [("a", [0]), ("a", [1, 2, 3, 4]), ("a", [5, 6])]

    asyncio.run(scenario())


def test_only_equal_parameters_travel_together_and_none_waits_for_ever() -> None:
    """A rare key gets its turn among a busy one."""

    async def scenario() -> None:
        gate = Gate()
        it = coalescer(gate, most=2)
        keys = ["a", "a", "a", "b", "a", "a"]
        asked = [asyncio.create_task(it.ask(key, n)) for n, key in enumerate(keys)]
        await asyncio.sleep(0)

        gate.open.set()
        await asyncio.gather(*asked)

        assert gate.batches[1:3] == [("a", [1, 2]), ("b", [3])]

    asyncio.run(scenario())


def test_beyond_capacity_a_query_is_refused_and_room_comes_back() -> None:
    """What cannot be held is refused at once, with a time to come back."""

    async def scenario() -> None:
        gate = Gate()
        it = coalescer(gate, capacity=2)
        held = [asyncio.create_task(it.ask("a", n)) for n in range(2)]
        await asyncio.sleep(0)

        with pytest.raises(OverloadedError):
            await it.ask("a", 9)
        gate.open.set()
        await asyncio.gather(*held)

        assert await it.ask("a", 9) == 18

    asyncio.run(scenario())


def test_one_bad_query_fails_alone() -> None:
    """An exception in the place of an answer is raised to that query only."""

    async def scenario() -> None:
        gate = Gate()
        gate.open.set()
        it = coalescer(gate)

        first, bad, last = await asyncio.gather(
            it.ask("a", 1), it.ask("a", -1), it.ask("a", 2), return_exceptions=True
        )

        assert (first, last) == (2, 4)
        assert isinstance(bad, ValueError)

    asyncio.run(scenario())


def test_a_client_that_went_away_is_not_sent() -> None:
    """A cancelled query leaves its batch before it leaves the process."""

    async def scenario() -> None:
        gate = Gate()
        it = coalescer(gate)
        first = asyncio.create_task(it.ask("a", 1))
        gone = asyncio.create_task(it.ask("a", 2))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)

        gate.open.set()
        await first

        assert gate.batches == [("a", [1])]

    asyncio.run(scenario())


def test_a_crowd_that_comes_back_one_by_one_is_not_led_by_a_batch_of_one() -> None:
    """Answered together, clients ask again together, though each takes its time to."""

    async def scenario() -> None:
        batches: list[int] = []

        async def run(_: str, queries: Sequence[int]) -> Sequence[int | Exception]:
            batches.append(len(queries))
            await asyncio.sleep(0.02)
            return list(queries)

        it: Coalescer[str, int, int] = Coalescer(run, in_flight=2, most=64, capacity=100)

        async def client(number: int) -> None:
            for _ in range(10):
                await it.ask("a", number)
                await asyncio.sleep(0.0001 * number)

        await asyncio.gather(*(client(number) for number in range(16)))

        assert batches.count(1) < len(batches) / 2  # seven of ten, if nobody was waited for

    asyncio.run(scenario())


def test_a_query_does_not_wait_for_a_crowd_that_has_gone() -> None:
    """Milliseconds after a crowd, a few clients are served as if it had never been."""

    async def scenario() -> None:
        gate = Gate()
        it: Coalescer[str, int, int] = Coalescer(gate.run, in_flight=2, most=64, capacity=100)
        crowd = [asyncio.create_task(it.ask("a", n)) for n in range(50)]
        await asyncio.sleep(0)
        gate.open.set()
        await asyncio.gather(*crowd)
        gate.open.clear()

        few = [asyncio.create_task(it.ask("b", n)) for n in range(2)]
        await asyncio.sleep(0.05)

        assert gate.batches[-2:] == [("b", [0]), ("b", [1])]
        gate.open.set()
        await asyncio.gather(*few)

    asyncio.run(scenario())
