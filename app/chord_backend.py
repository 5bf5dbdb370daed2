"""Celery's Redis result backend, with the end of a header task in one round trip.

Flat chords of known size whose header tasks never fail, the only ones here
(``compose.wire.chords``), need neither joins nor errbacks nor counters of nested tasks. Celery's
own way takes five round trips and rebuilds every part; this one takes one and hands the parts on
as they are.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from celery.backends.redis import RedisBackend

from compose.wire import chords
from compose.wire.chords import AWAITED, Call

BACKEND = "app.chord_backend:ChordBackend"

# KEYS: parts, closed. ARGV: position, part, size, expiry of the parts, expiry of the mark.
# Returns the parts to whoever completes the chord; a part that comes again changes nothing.
_RETURN = """
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('HLEN', KEYS[1]) < tonumber(ARGV[3]) then
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    return false
end
local parts = {}
for position = 0, tonumber(ARGV[3]) - 1 do
    parts[position + 1] = redis.call('HGET', KEYS[1], position)
end
redis.call('SET', KEYS[2], '', 'EX', ARGV[5])
redis.call('DEL', KEYS[1])
return parts
"""


class ChordBackend(RedisBackend):  # type: ignore[misc]  # celery carries no types
    """Results and chords in Redis."""

    @cached_property
    def _return(self) -> Any:
        return self.client.register_script(_RETURN)

    def on_chord_part_return(
        self, request: Any, state: str, result: Any, propagate: Any = None, **kwargs: Any
    ) -> None:
        """Keep a header task's part; the one that completes the chord calls its body.

        A worker that dies between the two takes the call with it: who awaits it asks again, and
        the end of an index window is only an announcement.
        """
        group, body = request.group, request.chord
        if not group or not body.get("size"):  # a chord of canvas: Celery's own way knows it
            super().on_chord_part_return(request, state, result, propagate, **kwargs)
            return
        part = self.encode([1, request.id, state, result])
        parts = self._return(
            keys=chords.keys(self, group),
            args=[
                request.group_index, part, body["size"],
                chords.CHORD_EXPIRES_S, chords.CLOSED_EXPIRES_S,
            ],
        )  # fmt: skip
        if parts is None:
            return
        options = body["options"]
        chords.send(
            self.app,
            Call(body["task"], options["queue"], [self.decode(one)[3] for one in parts]),
            *body["args"],
            awaited=body[AWAITED],
            task_id=options["task_id"],
        )
