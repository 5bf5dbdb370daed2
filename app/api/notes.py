"""What the workers' components counted, said in words: nothing is cut or left out in silence."""

from collections.abc import Mapping
from typing import Any

from redis.exceptions import RedisError

from app.api.house import House
from compose.wire import tallies
from compose.wire.tallies import Counts

#: What is counted: what it means, and how to mend it.
_MEANINGS: Mapping[str, str] = {
    "texts_cut": (
        "texts (of documents and queries) had more tokens than the model takes, and their ends "
        "were left out; cut documents smaller, with SentenceSplitter or TokenWindows"
    )
}


async def counts_of(house: House) -> Counts:
    """Return what was counted by stage and kind; nothing while the store is away."""
    try:
        return await tallies.read(house.dispatch.redis, house.plan.collection)
    except (RedisError, OSError):
        return {}


async def notes_of(house: House) -> list[dict[str, Any]]:
    """Return the counts with what they mean, for a page about the collection."""
    return [
        {"stage": stage, "what": what, "count": count, "meaning": _MEANINGS.get(what, what)}
        for (stage, what), count in sorted((await counts_of(house)).items())
    ]
