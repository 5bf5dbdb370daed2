"""Retired segments, void log rows and what dead builders left: thrown away in due time."""

from __future__ import annotations

import logging
import time

from compose.wire import names
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_MOST_SELDOM_S = 30.0
_ORPHAN_S = 3_600.0  # no build takes as long, so an older folder without a row has no builder


class Tidier:
    """Tidies the index store of one collection, now and then; one process at a time does."""

    def __init__(self, state: Runtime) -> None:
        self._state = state
        self._grace_s = float(state.settings["retired_grace_s"])
        self._tidied_at = time.monotonic()

    def tidy(self) -> None:
        """Throw away what has been useless for long enough, if it is time to look again."""
        if time.monotonic() - self._tidied_at < min(_MOST_SELDOM_S, self._grace_s):
            return
        self._tidied_at = time.monotonic()
        state = self._state
        if not state.plan.indexes or self._is_being_built():
            return  # a segment that is being built may need what a purge takes
        blobs = state.place(0, 0).blobs
        done = state.manifest.purge(
            state.collection,
            grace_s=self._grace_s,
            keep_seqs=int(state.settings["log_keep_seqs"]),
            delete_files=lambda segment: blobs.delete(segment.path),
        )
        listed = state.manifest.all_segments(state.collection, live_only=False)
        known = {segment.path for segment in listed}
        swept = blobs.sweep(state.collection, known, age_s=_ORPHAN_S)
        if done.segments or done.tombstones or done.patches or swept:
            logger.info("tidied: %s, %d folders of builders that died", done, swept)

    def _is_being_built(self) -> bool:
        state = self._state
        leases = (
            names.build_lease(state.collection, position, shard)
            for position, index in enumerate(state.plan.indexes)
            for shard in range(index.shards)
        )
        return any(state.ledger.lease_owner(lease) for lease in leases)
