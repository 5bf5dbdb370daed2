"""Segments are built here when nobody else does: slower, but the delta stays bounded."""

from __future__ import annotations

import logging
import threading
import time

from compose.wire import names, presence
from compose.wire.messages import Target
from indexstore.build import BuildPolicy, build_shard
from indexstore.errors import IndexStoreError
from workers.leasing import held
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_LOOK_S = 2.0
_ALONE_S = 10.0  # longer than a build worker takes to be restarted


class StandIn:
    """Builds due segments in a thread, in one index worker, while no build worker is there."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self._looked_at = 0.0
        self._alone_since: float | None = None
        self._building: threading.Thread | None = None

    def see_to(self) -> None:
        """Look now and then whether builds are due that nobody does, and begin one."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S or self._is_building():
            return
        self._looked_at = now
        workers = presence.read_now(self._state.redis)
        if any(names.BUILD_QUEUE in worker.queues for worker in workers):
            self._alone_since = None
            return
        self._alone_since = self._alone_since or now
        if now - self._alone_since < _ALONE_S:
            return
        directory = presence.Directory()
        directory.update(workers)
        least = int(self._state.settings["build_rows"])
        for target, fresh in directory.fresh_rows().items():
            if fresh >= least:
                self._building = threading.Thread(target=self._build, args=(target,), daemon=True)
                self._building.start()
                return

    def _is_building(self) -> bool:
        return self._building is not None and self._building.is_alive()

    def _build(self, target: Target) -> None:
        state = self._state
        try:
            with held(state, names.build_lease(state.collection, *target[:2])) as is_ours:
                if is_ours:
                    policy = BuildPolicy(min_rows=int(state.settings["build_rows"]))
                    report = build_shard(state.place(target), policy=policy, force=True)
                    logger.info("no build worker is there; built here: %s", report)
                    state.announce_log()
        except (IndexStoreError, OSError):
            logger.exception("build: shard %s; its delta goes on serving", target)
