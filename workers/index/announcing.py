"""Who waits for a job is told when the ledger closes it."""

from __future__ import annotations

from compose.wire import codec, names
from workers.runtime import Runtime

_EXPIRES_S = 60


def announce_closed_jobs(state: Runtime) -> None:
    """Close what the ledger finds done, and wake the API processes that wait for it.

    The wake-up only saves a poll: whoever waits also looks at the ledger by itself.
    """
    for job in state.ledger.close_jobs():
        if job.reply_to:
            key = names.reply_key(job.reply_to)
            with state.redis.pipeline(transaction=False) as pipe:
                pipe.rpush(key, codec.dumps({"job_id": job.id}))
                pipe.expire(key, _EXPIRES_S)
                pipe.execute()
