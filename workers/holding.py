"""A message stays with the worker that has it in hand, for as long as that worker lives.

Redis knows no consumers that die: kombu gives a message to somebody else when it was not
acknowledged within the visibility timeout, which is short here so that a dead worker is soon
replaced. A living one therefore says every now and then that it still works on what it has.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import redis
from redis.exceptions import RedisError

from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_LONGEST_S = 900.0  # who works on one message for longer is taken to be stuck


class Holder(threading.Thread):
    """Keeps the messages in hand from being delivered again.

    Args:
        consumer: Celery's consumer, whose channel knows what is in hand; a new one after a
            reconnection.
        state: the process's runtime.
    """

    def __init__(self, consumer: Any, state: Runtime) -> None:
        super().__init__(name="holder", daemon=True)
        self._consumer = consumer
        self._pause_s = float(state.settings["visibility_timeout_s"]) / 4
        self._redis = redis.Redis.from_url(state.settings["broker_url"], socket_timeout=2)
        self._since: dict[str, float] = {}
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Hold nothing any more."""
        self._stopping.set()

    def run(self) -> None:
        """Hold until stopped."""
        while not self._stopping.wait(self._pause_s):
            try:
                self._hold()
            except (RedisError, OSError, RuntimeError) as error:
                logger.debug("holder: %s; trying again", error)  # it changed hands meanwhile
            except Exception:
                logger.exception("holder: trying again")

    def _hold(self) -> None:
        channel = getattr(getattr(self._consumer, "task_consumer", None), "channel", None)
        if channel is None:
            return  # between two connections
        now = time.time()
        tags = [str(tag) for tag in tuple(channel.qos._delivered)]  # noqa: SLF001  # kombu tells nobody else
        self._since = {tag: self._since.get(tag, now) for tag in tags}
        held = {tag: now for tag, since in self._since.items() if now - since < _LONGEST_S}
        if held:
            # Only those still there: what was acknowledged meanwhile must not come back.
            self._redis.zadd(channel.unacked_index_key, held, xx=True)
