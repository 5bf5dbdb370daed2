"""The worker program: ``-Q`` says what a worker does, everything else follows from it."""

from __future__ import annotations

import difflib
import logging
import os
import socket
from typing import Any

from celery.apps.worker import Worker
from celery.concurrency.solo import TaskPool as SoloPool
from celery.concurrency.thread import TaskPool as ThreadPool
from click import UsageError

logger = logging.getLogger(__name__)


class ByRole(SoloPool):  # type: ignore[misc]  # celery carries no types
    """Stands for "nobody chose a pool": the default that ``RoleWorker`` replaces."""


class RoleWorker(Worker):  # type: ignore[misc]  # celery carries no types
    """A Celery worker whose pool, concurrency and name follow from its queues.

    ``solo`` everywhere but for ``build``: a task runs in the process that popped it, which is the
    quickest way there and back, holds one model or shard a process, and scales by starting another
    process. ``build`` runs for minutes, so it gets a thread and leaves the loop free to answer.
    An explicit ``-P``, ``-c`` or ``-n`` wins.
    """

    def __init__(
        self,
        app: Any = None,
        hostname: str | None = None,
        *,
        pool_cls: Any = None,
        queues: Any = None,
        **kwargs: Any,
    ) -> None:
        names = _check_queues(app or self.app, queues)
        if pool_cls in (None, ByRole):
            pool_cls = ThreadPool if "build" in names else SoloPool
            kwargs["concurrency"] = kwargs.get("concurrency") or 1
        default_name = f"celery@{socket.gethostname()}"
        if hostname in (None, default_name):
            # Two workers of one name on a machine would answer for each other.
            hostname = f"{'+'.join(names)}-{os.getpid()}@{socket.gethostname()}"
        # Gossip makes every worker read every other's events, mingle costs a second at start;
        # neither serves here.
        kwargs.update(without_gossip=True, without_mingle=True)
        super().__init__(app=app, hostname=hostname, pool_cls=pool_cls, queues=names, **kwargs)


def _check_queues(app: Any, queues: Any) -> list[str]:
    """Return the queues asked for, all of them when none is named.

    Raises:
        UsageError: the flow has no such queue.
    """
    known = list(app.amqp.queues)
    wanted = queues.split(",") if isinstance(queues, str) else list(queues or known)
    for name in wanted:
        try:
            app.amqp.queues[name]
        except KeyError:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise UsageError(
                f"this flow has no queue {name!r}{hint}; its queues are {', '.join(known)}"
            ) from None
    return wanted
