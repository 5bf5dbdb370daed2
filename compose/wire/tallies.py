"""What components count, such as texts that were cut: from the workers to the front end.

One hash in the store of announcements, a field a stage and thing: the page of a collection tells
it, of workers on all machines, whether or not anybody runs Prometheus. Nothing is durable: a wiped
store begins at nought again, as a counter of Prometheus may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from compose.wire import names

Counts = Mapping[tuple[str, str], int]  # (stage, what) to how many


def add(redis: Any, collection: str, counts: Counts) -> None:
    """Add what one worker has counted since the last time."""
    key = names.tally_key(collection)
    with redis.pipeline(transaction=False) as pipe:
        for (stage, what), number in counts.items():
            pipe.hincrby(key, f"{stage}:{what}", number)
        pipe.execute()


async def read(redis: Any, collection: str) -> Counts:
    """Return what all workers have counted, from an asyncio Redis client."""
    fields = await redis.hgetall(names.tally_key(collection))
    counts = {}
    for field, number in fields.items():
        stage, _, what = field.decode().rpartition(":")
        counts[stage, what] = int(number)
    return counts
