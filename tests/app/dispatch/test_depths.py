"""How many messages wait, asked of a real broker."""

import asyncio
from pathlib import Path
from typing import Any

from kombu.connection import Connection

from app.dispatch.depths import Depths
from tests.servers.valkey import running_valkey


class _App:
    """What is wanted of a Celery app here: a connection to its broker."""

    def __init__(self, url: str) -> None:
        self._url = url

    def connection_for_read(self) -> Any:
        """Return a connection that is not open yet."""
        return Connection(self._url)


def test_questions_at_one_time_are_all_answered(tmp_path: Path) -> None:
    """A page that polls does not take the numbers from under a scrape."""

    async def ask(depths: Depths) -> list[Any]:
        return await asyncio.gather(
            *(depths.read(["encode"]) for _ in range(8)), depths.ages(["encode"])
        )

    with running_valkey(tmp_path) as server:
        depths = Depths(_App(server.url))
        answers = asyncio.run(ask(depths))
        depths.close()

    assert answers == [{"encode": 0}] * 8 + [{"encode": 0.0}]
