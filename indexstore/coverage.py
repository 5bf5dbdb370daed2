"""Which segments a shard needs, and how far each of its slots is covered by them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from indexstore.model import SLOTS, SegmentInfo


@dataclass(frozen=True, slots=True, eq=False)
class Coverage:
    """Segments that follow each other without a gap, oldest first."""

    segments: tuple[SegmentInfo, ...]
    covered: NDArray[np.int64]  # (SLOTS,) the last sequence number that needs no log row

    def seq(self, slots: range) -> int:
        """Return the sequence number after which the log must be read."""
        return int(self.covered[slots.start : slots.stop].min())


def coverage(infos: Iterable[SegmentInfo], slots: range) -> Coverage:
    """Choose the segments to serve: none that others cover, none behind a gap.

    A shard's slots may lie in segments that were built for another number of shards; where such
    ones overlap, the one that reaches further from the same start makes the others redundant.
    """
    covered = np.zeros(SLOTS, np.int64)
    chosen = []
    for info in sorted(infos, key=lambda i: (i.seq_from, -i.seq_to, -_overlap(i, slots))):
        mine = covered[max(info.slot_from, slots.start) : min(info.slot_to, slots.stop)]
        if not len(mine) or (mine >= info.seq_to).all() or (mine < info.seq_from).any():
            continue
        np.maximum(mine, info.seq_to, out=mine)
        chosen.append(info)
    return Coverage(tuple(sorted(chosen, key=lambda info: info.seq_to)), covered)


def _overlap(info: SegmentInfo, slots: range) -> int:
    return min(info.slot_to, slots.stop) - max(info.slot_from, slots.start)
