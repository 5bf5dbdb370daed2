"""Chords published by hand: header tasks carry the chord protocol's own fields.

Why not canvas: ``celery.chord`` costs twice the CPU and, in Celery 5.7.0, leaves one Redis
subscription a header task in the publishing process. Why not Celery's counters: a flat chord of
known size whose headers never fail needs no size to be stored before it is published, and its last
part can be told by one script (``app.chord_backend``).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

#: Header of a message whose sender awaits the answer and asks again when a worker dies with it.
#: So the broker need not remember it once it was taken.
AWAITED: Final = "awaited"
SENT_AT: Final = "sent_at"  # header: when it was sent, in seconds since the epoch
CHORD_EXPIRES_S: Final = 3_600  # longer than any chord lives; index windows end in minutes
CLOSED_EXPIRES_S: Final = 120  # a header task delivered again comes sooner

# KEYS: parts, closed. Returns nothing when the body has been dispatched already.
_CLOSE = """
if redis.call('EXISTS', KEYS[2]) == 1 then return false end
local parts = redis.call('HGETALL', KEYS[1])
redis.call('SET', KEYS[2], '', 'EX', ARGV[1])
redis.call('DEL', KEYS[1])
return parts
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One task to send: its name, its queue and its single argument."""

    task: str
    queue: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Chord:
    """Parallel header tasks and the task that is called with all their results.

    Args:
        group_id: its name, unused before.
        size: how many header tasks it has; they must never raise.
        body: called with the list of the headers' results, in order, then its own payload.
        awaited: whether somebody waits for the answer.
    """

    group_id: str
    size: int
    body: Call
    awaited: bool

    def signature(self) -> dict[str, Any]:
        """Return what each header task carries of it; ``size`` tells our backend's chords."""
        return {
            "task": self.body.task,
            "args": (self.body.payload,),
            "kwargs": {},
            "options": {"task_id": f"{self.group_id}-body", "queue": self.body.queue},
            "subtask_type": None,
            "immutable": False,
            "size": self.size,
            AWAITED: self.awaited,
        }


def keys(backend: Any, group_id: str) -> tuple[Any, Any]:
    """Return where the result backend keeps the parts of a chord, and that it is closed."""
    return backend.get_key_for_group(group_id, ".p"), backend.get_key_for_group(group_id, ".c")


def send(
    app: Any,
    call: Call,
    *further: Any,
    awaited: bool,
    producer: Any = None,
    task_id: str | None = None,
    **options: Any,
) -> None:
    """Publish one task by name, without a result and without a repr of its vectors.

    Celery's ``send_task`` looks routes up, copies the queue and makes a result object for every
    task; what is published here is the same message (protocol version 2) at a third of the cost.

    Args:
        app: the Celery app.
        call: the task.
        *further: arguments after its payload.
        awaited: whether somebody waits for the answer: then it overtakes bulk work, and whoever
            waits sees to it that it is not lost.
        producer: publishes it, in its batch if it has one; by default one of the app's.
        task_id: its id; a new one by default.
        **options: chord fields of the message.
    """
    message = app.amqp.create_task_message(
        task_id or uuid4().hex,
        call.task,
        (call.payload, *further),
        {},
        ignore_result=True,
        argsrepr="",
        kwargsrepr="",
        **options,
    )
    message.headers[SENT_AT] = time.time()
    if awaited:
        message.headers[AWAITED] = True
    with app.producer_or_acquire(producer) as publisher:
        # A queue of Redis is there as soon as something is in it; others must be declared.
        is_redis = publisher.connection.transport.driver_type == "redis"
        app.amqp.send_task_message(
            publisher,
            call.task,
            message,
            queue=call.queue,
            priority=_priority(awaited=awaited, is_redis=is_redis),
            declare=() if is_redis else None,
        )


def _priority(*, awaited: bool, is_redis: bool) -> int:
    """Return the broker's number for what shall go first: 0 on Redis, 9 on AMQP."""
    return 0 if awaited == is_redis else 9


def fan_out(app: Any, chord: Chord, headers: Sequence[Call]) -> None:
    """Publish all header tasks of a chord in one round trip."""
    with app.amqp.producer_pool.acquire(block=True, timeout=2) as producer, producer.batch():
        for position, call in enumerate(headers):
            join(app, chord, position, call, producer=producer)


def join(app: Any, chord: Chord, position: int, call: Call, *, producer: Any = None) -> None:
    """Publish ``call`` as header task ``position`` of a chord."""
    send(
        app,
        call,
        awaited=chord.awaited,
        producer=producer,
        task_id=f"{chord.group_id}-{position}",
        group_id=chord.group_id,
        group_index=position,
        chord=chord.signature(),
    )


def close(app: Any, group_id: str) -> list[Any] | None:
    """End a chord before all its parts came; return the parts so far, in order.

    Returns:
        None when the callback has been called already, or is being called.
    """
    backend = app.backend
    flat = backend.client.eval(_CLOSE, 2, *keys(backend, group_id), CLOSED_EXPIRES_S)
    if flat is None:
        return None
    parts = {int(flat[i]): flat[i + 1] for i in range(0, len(flat), 2)}
    return [backend.decode(parts[position])[3] for position in sorted(parts)]
