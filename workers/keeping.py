"""Documents stay with the worker that has them in hand, for as long as it lives.

A lease on a document ends after a minute, so that the work of a dead worker is soon done again. A
living one whose work takes longer prolongs the leases of what it has in hand.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from indexstore.errors import IndexStoreError
from workers.runtime import Runtime

logger = logging.getLogger(__name__)


class Hand:
    """The documents that this process works on; set by its tasks, read by its keeper."""

    def __init__(self) -> None:
        self._held: tuple[str, Sequence[str]] | None = None

    @contextmanager
    def holding(self, collection: str, doc_ids: Sequence[str]) -> Iterator[None]:
        """Hold documents while the block runs."""
        self._held = (collection, doc_ids)
        try:
            yield
        finally:
            self._held = None

    def held(self) -> tuple[str, Sequence[str]] | None:
        """Return collection and ids of what is in hand; None when nothing is."""
        return self._held


hand = Hand()


class Keeper(threading.Thread):
    """Prolongs, a few times a lease, the leases of what is in hand at that moment."""

    def __init__(self, state: Runtime) -> None:
        super().__init__(name="keeper", daemon=True)
        self._state = state
        self._lease_s = float(state.settings["lease_s"])
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Prolong nothing any more."""
        self._stopping.set()

    def run(self) -> None:
        """Prolong until stopped; what fails is tried again."""
        while not self._stopping.wait(self._lease_s / 4):
            held = hand.held()
            if held is None:
                continue
            try:
                self._state.ledger.extend_leases(*held, lease_s=self._lease_s)
            except IndexStoreError as error:
                logger.warning("keeper: %s; trying again", error)
            except Exception:
                logger.exception("keeper: trying again")
