"""Does the worker of this container work? ``python -m app.probe encode`` exits 0 if it does.

A worker runs a task in the thread that would answer Celery's ping, and a film takes minutes: so one
that is busy is believed by its heartbeat, and one that is idle is asked.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Any

import redis

from app.broker_errors import BROKER_ERRORS
from compose.render.processes import group_name
from compose.wire import presence

STUCK_S = 900.0
"""A task that takes longer is taken to be stuck, as by who keeps its message from others."""
_ANSWER_S = 5.0


def main() -> int:
    """Return 0 when the worker works, else 1 and say why.

    A broker that is away is no fault of the worker's: ending it would help nobody.
    """
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its one argument
        sys.stderr.write("usage: python -m app.probe QUEUE\n")
        return 2
    node = f"{group_name(sys.argv[1])}@{socket.gethostname()}"
    from app.celery import app  # noqa: PLC0415 - reads settings and flow

    try:
        fault = fault_of(app, node)
    except BROKER_ERRORS as error:
        sys.stdout.write(f"{node} cannot be asked: {error}\n")
        return 0
    if fault:
        sys.stderr.write(f"{node} {fault}\n")
    return int(bool(fault))


def fault_of(app: Any, node: str) -> str:
    """Return what is wrong with a worker; "" when nothing is.

    Raises:
        What BROKER_ERRORS lists: the broker does not answer.
    """
    with redis.Redis.from_url(app.conf.result_backend, socket_timeout=_ANSWER_S) as client:
        before = _announced(client, node)
        if before is None:
            return "has no heartbeat"
        if before.is_busy:
            seconds = time.time() - before.busy_since
            return f"has worked on one task for {seconds:.0f} s" if seconds > STUCK_S else ""
        if app.control.ping(destination=[node], timeout=_ANSWER_S):
            return ""
        after = _announced(client, node)
        has_worked = after is not None and (after.is_busy or after.tasks_done > before.tasks_done)
        return "" if has_worked else "is idle and does not answer"


def _announced(client: Any, node: str) -> presence.Announcement | None:
    return next((one for one in presence.read_now(client) if one.node == node), None)


if __name__ == "__main__":
    sys.exit(main())
