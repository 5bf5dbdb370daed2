"""The housekeeper: what nobody needs any more goes, and its room is given back, by itself."""

from __future__ import annotations

import logging
import threading
import time

from compose.wire import names
from indexstore.blobs import Blobs
from indexstore.errors import CollectionNotFoundError
from indexstore.upkeep import UpkeepPolicy, referenced_blobs, tidy
from workers.leasing import held
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_FIRST_S = 20.0  # a worker that is restarted again and again must not tidy each time
_MEDIA_AGE_S = 24 * 3600.0  # an upload may wait as long for the write that refers to it
_ORPHAN_AGE_S = 3_600.0  # no build takes as long: an older folder without a row has no builder
_SWEEP_S = 1_800.0  # between two looks through whole stores; what they take is older by far


class Housekeeper(threading.Thread):
    """Tidies log, segments, jobs and media now and then, in one build worker at a time."""

    def __init__(self, state: Runtime) -> None:
        super().__init__(name="housekeeper", daemon=True)
        self._state = state
        self._sweep_at = 0.0
        self._stopping = threading.Event()

    def stop(self) -> None:
        """End after the current round."""
        self._stopping.set()

    def run(self) -> None:
        """Tidy until stopped; what fails is logged and tried again."""
        pause = _FIRST_S
        interval = float(self._state.settings["upkeep_interval_s"])
        while not self._stopping.wait(min(pause, interval)):
            pause = interval
            try:
                self._round()
            except CollectionNotFoundError:
                continue
            except Exception:
                logger.exception("housekeeper: trying again")

    def _round(self) -> None:
        with held(self._state, f"upkeep:{self._state.collection}") as is_ours:
            if is_ours:
                self._tidy()

    def _tidy(self) -> None:
        state = self._state
        if self._is_building():
            return  # a segment that is being built may need what a purge takes
        blobs = Blobs(state.settings["blob_url"], cache=state.segment_cache)
        purged = tidy(
            state.ledger,
            state.collection,
            delete_files=lambda segment: blobs.delete(segment.path),
            policy=UpkeepPolicy(
                grace_s=float(state.settings["retired_grace_s"]),
                keep_seqs=int(state.settings["log_keep_seqs"]),
            ),
        )
        logger.debug("housekeeper: %s", purged)
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + _SWEEP_S
            self._sweep(blobs)

    def _sweep(self, blobs: Blobs) -> None:
        """Delete segments that nobody published, and media that nothing refers to."""
        state = self._state
        listed = state.manifest.all_segments(state.collection, live_only=False)
        known = {segment.path for segment in listed}
        blobs.sweep(state.collection, known, age_s=_ORPHAN_AGE_S)
        if state.plan.takes_media or state.plan.learners:
            kept = referenced_blobs(state.ledger)
            before = time.time() - _MEDIA_AGE_S
            state.media.collect(kept, older_than=before)
            state.media.scratch.collect(older_than=before)

    def _is_building(self) -> bool:
        state = self._state
        leases = (
            names.build_lease(state.collection, position, shard)
            for position, layout in enumerate(state.layout())
            for shard in range(layout.widest)
        )
        return any(state.ledger.lease_owner(lease) for lease in leases)
