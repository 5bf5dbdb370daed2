"""Segments that a change waits for before it lets new shards serve."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from celery import current_app

from compose.wire import chords, names
from compose.wire.chords import Call
from compose.wire.messages import Target
from indexstore.coverage import coverage
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_PATIENCE_S = 300.0  # without a segment or a builder at work: then the change serves without
_AGAIN_S = 5.0  # before a build that nobody works on is ordered once more; each time later
_LONGEST_PAUSE_S = 60.0
_FEW_DOCUMENTS = 1_000  # are scanned in less time than a segment takes


@dataclass(slots=True)
class Building:
    """Segments in their shards' own bounds, of one generation, that were ordered."""

    generation: int
    up_to: int  # sequence number that the segments shall reach
    left: set[Target] = field(default_factory=set)
    until: float = 0.0
    again_at: float = 0.0
    pause_s: float = _AGAIN_S

    @classmethod
    def of(cls, state: Runtime, targets: Iterable[Target], generation: int) -> Building:
        """Return what must be built for these shards; nothing when there are few documents."""
        is_small = state.generations.shown(state.collection) < _FEW_DOCUMENTS
        left = set() if is_small else set(targets)
        return cls(generation, state.log.last_seq(state.collection), left)

    def is_done(self, state: Runtime, now: float) -> bool:
        """Order what is missing, and again what was lost; tell whether to wait no longer."""
        before = len(self.left)
        self.left = {target for target in self.left if not self._is_built(state, target)}
        if not self.left:
            return True
        builds = any(state.ledger.lease_owner(_lease(state, target)) for target in self.left)
        if not self.until or builds or len(self.left) < before:
            self.until = now + _PATIENCE_S
        if not builds and now >= self.again_at:
            self.again_at = now + self.pause_s
            self.pause_s = min(2 * self.pause_s, _LONGEST_PAUSE_S)
            for target in sorted(self.left):
                self._order(target)
        if now >= self.until:
            logger.warning("%d segments were not built; their shards read the log", len(self.left))
            return True
        return False

    def _is_built(self, state: Runtime, target: Target) -> bool:
        """Tell whether there are segments in the shard's own bounds, whatever others cover."""
        place = state.place(target, self.generation)
        own = [info for info in place.segments() if info.slots == place.slots]
        return coverage(own, place.slots).seq(place.slots) >= self.up_to

    def _order(self, target: Target) -> None:
        order = {
            "target": target, "generation": self.generation, "covered_seq": self.up_to,
        }  # fmt: skip
        call = Call(names.BUILD, names.BUILD_QUEUE, order)
        chords.send(current_app, call, awaited=False)


def _lease(state: Runtime, target: Target) -> str:
    return names.build_lease(state.collection, *target[:2])
