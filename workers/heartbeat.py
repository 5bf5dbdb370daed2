"""The heartbeat: a worker tells the front end that it lives, what it serves and how far it is."""

from __future__ import annotations

import logging
import os
import resource
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from redis.exceptions import RedisError

from compose.wire import presence, tallies
from compose.wire.presence import Announcement
from workers.runtime import VERSION, InHand, Runtime
from workers.search.serving import Serving

logger = logging.getLogger(__name__)

_LONG_TASK_S = 0.2  # a task that takes longer may be why a request is late: that is told at once
_LAST_BEAT_S = 1.0  # for a beat under way when it ends; longer only while the broker is away
_LEAST_GAP_S = 0.05  # news are announced at once, but no more often than this


class Heartbeat(threading.Thread):
    """Announces the worker at a steady pace, and at once when something changed."""

    def __init__(self, node: str, state: Runtime, serving: Serving | None) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self._node = node
        self._state = state
        self._serving = serving
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._told: InHand | None = None
        self._counts: Counter[tuple[str, str]] = Counter()

    def stop(self) -> None:
        """End, and say that the worker is gone."""
        self._stopping.set()
        self._news.set()
        if self.is_alive():  # else a beat under way could announce again what is withdrawn
            self.join(_LAST_BEAT_S)
        try:
            self._tell_counts()
            presence.withdraw(self._state.redis, self._node)
        except (RedisError, OSError):
            logger.info("heartbeat: the broker is gone; the announcement expires by itself")

    def tell(self) -> None:
        """Announce at once: something changed."""
        self._news.set()

    def run(self) -> None:
        """Announce until stopped."""
        interval = float(self._state.settings["presence_interval_s"])
        while not self._stopping.is_set():
            try:
                presence.announce(self._state.redis, self._announcement(), interval_s=interval)
                self._tell_counts()
            except (RedisError, OSError) as error:
                logger.debug("heartbeat: %s", error)
            except Exception:
                logger.exception("heartbeat: trying again")
            self._wait(interval)
            self._news.clear()
            self._stopping.wait(_LEAST_GAP_S)

    def _wait(self, interval: float) -> None:
        """Wait for the next beat, for news, or until a task takes so long that it is news."""
        end = time.monotonic() + interval
        while (left := end - time.monotonic()) > 0:
            if self._news.wait(min(left, _LONG_TASK_S)):
                return
            task, now = self._state.in_hand, time.time()
            if task is not None and task is not self._told and now - task.since > _LONG_TASK_S:
                return

    def _tell_counts(self) -> None:
        """Add what components counted to what all workers have; kept until that succeeds."""
        fresh = self._state.take_counts()
        for (stage, what), number in fresh.items():
            logger.warning("%s: %d %s", stage, number, what)
        self._counts.update(fresh)
        if self._counts:
            tallies.add(self._state.redis, self._state.collection, self._counts)
            self._counts.clear()

    def _announcement(self) -> Announcement:
        state = self._state
        task = self._told = state.in_hand
        serving = self._serving
        return Announcement(
            node=self._node,
            host=socket.gethostname(),
            pid=os.getpid(),
            queues=state.queues,
            started_at=state.started_at,
            version=VERSION,
            tasks_done=state.tasks_done,
            in_hand=() if task is None else (task.task_id, task.queue, task.since),
            fingerprint=state.plan.fingerprint,
            rss_bytes=_rss_bytes(),
            shards=() if serving is None else tuple(serving.describe()),
            layouts=() if serving is None else tuple(serving.layouts()),
            sent_at=time.time(),
        )


def _rss_bytes() -> int:
    """Return the memory that this process holds in bytes; its peak where there is no /proc."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
