"""Celery's Redis result backend, with the end of a header task in one round trip.

A chord's parts are kept under Celery's own keys, and the callback is called once, as Celery does
it. Left out is what flat chords of never failing tasks (the only ones here) have no use for: nested
results, joins, errbacks. Celery's own way takes five round trips and rebuilds every part; this one
takes one and hands the parts on as they are.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any
from uuid import uuid4

from celery.backends.redis import RedisBackend

from compose.wire import chords
from compose.wire.chords import Call

BACKEND = "app.chord_backend:ChordBackend"

_CLAIM_S = 10  # a worker that dies between claim and callback is repeated after it
_DONE_S = 120  # duplicates of a header task come no later: the visibility timeout is far shorter

# KEYS: parts, size, total, seen, claim. Returns the parts to whoever completes the chord.
_RETURN = """
if redis.call('GET', KEYS[5]) == 'done' then return false end
if redis.call('SADD', KEYS[4], ARGV[1]) == 1 then
    redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    redis.call('EXPIRE', KEYS[4], ARGV[4])
end
local size = redis.call('GET', KEYS[2])
if not size or redis.call('ZCARD', KEYS[1]) < tonumber(size) then return false end
if not redis.call('SET', KEYS[5], ARGV[5], 'NX', 'EX', ARGV[6]) then return false end
return redis.call('ZRANGE', KEYS[1], 0, -1)
"""

# KEYS: claim, parts, size, total, seen.
_FINISH = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
    redis.call('SET', KEYS[1], 'done', 'EX', ARGV[2])
    redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
end
"""


class ChordBackend(RedisBackend):  # type: ignore[misc]  # celery carries no types
    """Results and chords in Redis."""

    @cached_property
    def _return(self) -> Any:
        return self.client.register_script(_RETURN)

    @cached_property
    def _finish(self) -> Any:
        return self.client.register_script(_FINISH)

    def on_chord_part_return(
        self, request: Any, state: str, result: Any, propagate: Any = None, **kwargs: Any
    ) -> None:
        """Keep a header task's part; the one that completes the chord calls its body."""
        group, body = request.group, request.chord
        if state != "SUCCESS" or not group or not body.get("flat"):
            # A failed task, or a chord of canvas: Celery's own way knows about both.
            super().on_chord_part_return(request, state, result, propagate, **kwargs)
            return
        keys = chords.keys(self, group)
        token = uuid4().hex
        score = request.group_index or 0
        member = f"{request.id}:{score}"
        part = self.encode([1, request.id, state, result])
        parts = self._return(
            keys=[keys.parts, keys.size, keys.total, keys.seen, keys.claim],
            args=[member, score, part, chords.CHORD_EXPIRES_S, token, _CLAIM_S],
        )
        if parts is None:
            return
        options = dict(body["options"])
        chords.send(
            self.app,
            Call(body["task"], options["queue"], [self.decode(one)[3] for one in parts]),
            *body["args"],
            priority=options["priority"],
            task_id=options["task_id"],
        )
        self._finish(
            keys=[keys.claim, keys.parts, keys.size, keys.total, keys.seen], args=[token, _DONE_S]
        )
