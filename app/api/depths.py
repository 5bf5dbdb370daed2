"""How many messages wait in each queue."""

from redis.exceptions import RedisError

from app.api.house import House

#: Kombu's Redis transport keeps one list a priority step; the first has the queue's own name.
_PRIORITY_SUFFIXES = ("", ":9")


async def depths(house: House) -> dict[str, int]:
    """Return the messages waiting in each queue; nothing when the broker is no Redis or away.

    One round trip, whatever the number of queues and messages.
    """
    if not house.config.broker_url.startswith(("redis", "valkey")):
        return {}
    queues = house.plan.queues()
    keys = [queue + suffix for queue in queues for suffix in _PRIORITY_SUFFIXES]
    try:
        async with house.dispatch.redis.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.llen(key)
            lengths = await pipe.execute()
    except (RedisError, OSError):
        return {}
    steps = len(_PRIORITY_SUFFIXES)
    return {q: sum(lengths[i * steps : (i + 1) * steps]) for i, q in enumerate(queues)}
