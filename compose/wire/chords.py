"""Chords published by hand: header tasks carry the chord protocol's own fields.

Why not canvas: ``celery.chord`` costs twice the CPU and, in Celery 5.7.0, leaves one Redis
subscription a header task in the publishing process. The key layout used here is that of
``celery.backends.redis``; tests/contract pins it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

CHORD_EXPIRES_S: Final = 3_600  # longer than any chord lives; index windows end in minutes

# KEYS: parts, size, total, seen, claim. Returns nothing when the body has been dispatched already.
_CLOSE = """
if redis.call('EXISTS', KEYS[5]) == 1 then return false end
local parts = redis.call('ZRANGE', KEYS[1], 0, -1)
redis.call('SET', KEYS[5], 'done', 'EX', 300)
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3], KEYS[4])
return parts
"""


@dataclass(frozen=True, slots=True)
class Call:
    """One task to send: its name, its queue and its single argument."""

    task: str
    queue: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the result backend keeps one chord; the names are Celery's own."""

    parts: Any
    size: Any
    total: Any
    seen: Any
    claim: Any


def keys(backend: Any, group_id: str) -> Keys:
    """Return the keys of the chord ``group_id``."""
    return Keys(
        *(backend.get_key_for_group(group_id, end) for end in (".j", ".s", ".t", ".d", ".c"))
    )


def send(
    app: Any,
    call: Call,
    *further: Any,
    priority: int,
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
        priority: 0 the most urgent on Redis.
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
    with app.producer_or_acquire(producer) as publisher:
        # A queue of Redis is there as soon as something is in it; others must be declared.
        is_redis = publisher.connection.transport.driver_type == "redis"
        app.amqp.send_task_message(
            publisher,
            call.task,
            message,
            queue=call.queue,
            priority=priority,
            declare=() if is_redis else None,
        )


def fan_out(app: Any, group_id: str, headers: Sequence[Call], body: Call, *, priority: int) -> None:
    """Publish ``headers`` as one chord whose callback is ``body``, in one round trip.

    Args:
        app: the Celery app.
        group_id: name of the chord, unused before.
        headers: the parallel tasks; they must never raise, or the body is not called.
        body: called with the list of the headers' results, in order, then its own payload.
        priority: of every task, 0 the most urgent.
    """
    arm(app, group_id, len(headers))
    with app.amqp.producer_pool.acquire(block=True, timeout=2) as producer, producer.batch():
        for position, call in enumerate(headers):
            join(app, group_id, position, call, body, priority=priority, producer=producer)


def arm(app: Any, group_id: str, size: int) -> None:
    """Tell the result backend how many header tasks the chord ``group_id`` has."""
    app.backend.client.set(app.backend.get_key_for_group(group_id, ".s"), size, ex=CHORD_EXPIRES_S)


def join(
    app: Any,
    group_id: str,
    position: int,
    call: Call,
    body: Call,
    *,
    priority: int,
    producer: Any = None,
) -> None:
    """Publish ``call`` as header task ``position`` of the chord ``group_id``."""
    send(
        app,
        call,
        priority=priority,
        producer=producer,
        group_id=group_id,
        group_index=position,
        chord=_signature(group_id, body, priority),
    )


def _signature(group_id: str, body: Call, priority: int) -> dict[str, Any]:
    """Return the callback as Celery's signatures travel; ``flat`` tells our backend's chords."""
    return {
        "task": body.task,
        "args": (body.payload,),
        "kwargs": {},
        "options": {
            "task_id": f"{group_id}-body",
            "queue": body.queue,
            "priority": priority,
            "ignore_result": True,
            "argsrepr": "",
            "kwargsrepr": "",
        },
        "subtask_type": None,
        "immutable": False,
        "flat": True,
    }


def close(app: Any, group_id: str) -> list[Any] | None:
    """End a chord before all its parts came; return the parts so far, in order.

    Returns:
        None when the callback has been called already, or is being called.
    """
    backend = app.backend
    of = keys(backend, group_id)
    parts = backend.client.eval(_CLOSE, 5, of.parts, of.size, of.total, of.seen, of.claim)
    if parts is None:
        return None
    return [backend.decode(part)[3] for part in parts]


def is_open(app: Any, group_id: str) -> bool:
    """Tell whether the chord was published and its callback has not been called."""
    return bool(app.backend.client.exists(app.backend.get_key_for_group(group_id, ".s")))
