"""The thread that opens new segments beside what is served, so that nobody waits for a download."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import time

from compose.wire.messages import Target
from indexstore.blobs import Blobs
from indexstore.errors import CollectionNotFoundError, IndexStoreError
from workers.runtime import Runtime
from workers.search.serving import Serving

logger = logging.getLogger(__name__)

_POLL_S = 1.0  # new segments are no news to a reader of the log: no hurry
_SWEEP_S = 600.0
_UNUSED_S = 3_600.0  # nobody opens a segment for as long


class SegmentWatcher(threading.Thread):
    """Looks for new segments of the shards of a process, and forgets old copies of them."""

    def __init__(self, serving: Serving, state: Runtime) -> None:
        super().__init__(name="segment-watcher", daemon=True)
        self._serving = serving
        self._state = state
        self._stopping = threading.Event()
        self._sweep_at = time.monotonic() + _SWEEP_S
        self._covered: dict[Target, int] = {}

    def stop(self) -> None:
        """End after the current step."""
        self._stopping.set()

    def run(self) -> None:
        """Watch until stopped; what fails is logged and tried again."""
        while not self._stopping.wait(_POLL_S):
            try:
                self._serving.look_ahead()
                self._give_memory_back()
                if time.monotonic() >= self._sweep_at:
                    self._sweep_at = time.monotonic() + _SWEEP_S
                    self._sweep()
            except CollectionNotFoundError:
                pass  # nothing was ever written; the next look may find it
            except IndexStoreError as error:
                logger.warning("segment watcher: %s; those that are open go on serving", error)
            except Exception:
                logger.exception("segment watcher: trying again")

    def _give_memory_back(self) -> None:
        """Return to the system what a delta held that a segment has taken the place of."""
        covered = self._serving.covered()
        if covered != self._covered:
            self._covered = covered
            give_memory_back()

    def _sweep(self) -> None:
        """Remove copies of segments that the manifest has forgotten from this machine."""
        state = self._state
        blobs = Blobs(state.settings["blob_url"], cache=state.segment_cache)
        if blobs.is_local:
            return  # the originals are the housekeeper's
        listed = state.manifest.all_segments(state.collection, live_only=False)
        known = {segment.path for segment in listed}
        blobs.sweep_here(state.collection, known, age_s=_UNUSED_S)


def give_memory_back() -> None:
    """Have the C library return what was freed: by itself it keeps most of it for later."""
    with contextlib.suppress(AttributeError, OSError):  # of glibc alone
        ctypes.CDLL(None).malloc_trim(0)
