"""Builds and compacts the segments of a shard, from the log alone; never blocks who searches."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexstore.contents import Contents, embedded, load
from indexstore.model import SLOTS, SegmentInfo, new_id, slot_range
from indexstore.place import Place
from indexstore.segment_writer import SegmentWriter

PAGE_ROWS = 2000  # log rows read at a time

Outcome = Literal["nothing to do", "built", "overtaken"]


@dataclass(frozen=True, slots=True)
class BuildPolicy:
    """When a build is worth its work."""

    min_rows: int = 2000  # sequence numbers a shard waits for, its share of the collection's
    #: Segments at most so many times as large as what is newer are merged with it: so there are
    #: logarithmically many, and a document is rewritten logarithmically often.
    growth: float = 2.0
    max_deleted_ratio: float = 0.25  # dead documents that a segment may carry
    max_segments: int = 6


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build did."""

    outcome: Outcome
    segment: SegmentInfo | None = None
    retired: tuple[str, ...] = ()
    corrupt: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Work:
    """Which part of the log a new segment takes over, and what it replaces."""

    seq_from: int
    seq_to: int
    retires: tuple[SegmentInfo, ...]


def build_shard(
    place: Place,
    *,
    policy: BuildPolicy | None = None,
    force: bool = False,
    is_wanted: Callable[[], bool] = lambda: True,
) -> BuildReport:
    """Build the next segment of a shard, merging older ones where that pays; idempotent.

    Two builds of one shard at the same time do no harm: the second finds that what it wanted to
    replace is no longer live, and throws its work away.

    Args:
        place: the shard.
        policy: when work is worth while.
        force: build whatever is new, however little.
        is_wanted: asked just before publishing; False (a lost lease, say) throws the work away.
    """
    started = time.monotonic()
    chosen = policy or BuildPolicy()
    corrupt: dict[str, str] = {}
    info = place.counters()
    contents = load(place, place.segments(), opened={}, corrupt=corrupt, purged_seq=info.purged_seq)
    _learn_holes(place, contents, info.last_seq)
    work = _plan(place, contents, chosen, (info.last_seq, force, bool(corrupt)))
    if work is None:
        return BuildReport("nothing to do", corrupt=tuple(corrupt))
    segment = _build(place, contents.dim, work)
    listed = {info.id for info in place.segments()}
    # Corrupt and redundant segments of these slots go with it, if they lie wholly in them.
    retires = [i.id for i in _replaced(place, work) if i.id in listed]
    is_published = is_wanted() and place.manifest.publish(
        segment, retires=retires, purged_seq=info.purged_seq
    )
    if not is_published:
        place.blobs.delete(segment.path)
        return BuildReport("overtaken", corrupt=tuple(corrupt))
    seconds = time.monotonic() - started
    return BuildReport("built", segment, tuple(retires), tuple(corrupt), seconds)


def _learn_holes(place: Place, contents: Contents, last_seq: int) -> None:
    """Apply the deletes that are newer than the segments, which are cheap to read."""
    after = contents.cursor
    while rows := place.log.amendments(
        place.collection,
        after,
        generation=place.generation,
        slots=place.slots,
        limit=PAGE_ROWS,
        until=last_seq,
    ):
        contents.apply(rows)
        after = rows[-1].seq


def _plan(
    place: Place, contents: Contents, policy: BuildPolicy, state: tuple[int, bool, bool]
) -> _Work | None:
    """Decide how far back the next segment begins; None when nothing is worth while."""
    last_seq, force, is_corrupt = state
    covered = contents.cursor
    fresh = (last_seq - covered) / place.config.shards
    holes = _first_holed(contents, policy)
    infos = [segment.info for segment in contents.segments]
    is_foreign = any(not _is_own(info, place) for info in infos)
    is_due = fresh >= policy.min_rows or (force and (last_seq > covered or is_foreign))
    if not (is_due or is_corrupt or holes is not None):
        return None
    if is_corrupt or is_foreign:
        return _Work(0, last_seq, tuple(infos))  # all anew, in the shard's own bounds
    first = len(infos) if holes is None else holes
    size = fresh + sum(part.live_count for part in contents.parts[first:])
    while first and _merges(contents, first, size, policy):
        first -= 1
        size += contents.parts[first].live_count
    seq_from = infos[first].seq_from if first < len(infos) else covered
    return _Work(seq_from, last_seq, tuple(infos[first:]))


def _merges(contents: Contents, first: int, size: float, policy: BuildPolicy) -> bool:
    is_small = contents.parts[first - 1].live_count <= policy.growth * size
    return is_small or first >= policy.max_segments


def _first_holed(contents: Contents, policy: BuildPolicy) -> int | None:
    """Return the oldest segment with too many dead documents."""
    for number, part in enumerate(contents.parts):
        if part.count and 1 - part.live_count / part.count > policy.max_deleted_ratio:
            return number
    return None


def _is_own(info: SegmentInfo, place: Place) -> bool:
    return info.slots == place.slots


def _replaced(place: Place, work: _Work) -> list[SegmentInfo]:
    """Return what the new segment makes superfluous.

    That is all within its slots and its range; and, when it is the last of the shards' first
    ones after a change of their number, segments of the old bounds.
    """
    config = place.config
    everywhere = place.manifest.segments(
        place.collection, config.name, generation=place.generation, slots=range(SLOTS)
    )
    bounds = {slot_range(shard, config.shards) for shard in range(config.shards)}
    return [
        info
        for info in everywhere
        if (_is_within(info.slots, place.slots) and _is_within(_seqs(info), _seqs(work)))
        or (info.slots not in bounds and _is_covered(info, everywhere, (place, work, bounds)))
    ]


def _seqs(span: SegmentInfo | _Work) -> range:
    return range(span.seq_from, span.seq_to)


def _is_within(inner: range, outer: range) -> bool:
    return inner.start >= outer.start and inner.stop <= outer.stop


def _is_covered(
    info: SegmentInfo, others: list[SegmentInfo], new: tuple[Place, _Work, set[range]]
) -> bool:
    place, work, bounds = new
    covered = set(place.slots) if _is_within(_seqs(info), _seqs(work)) else set()
    for other in others:
        if other.slots in bounds and _is_within(_seqs(info), _seqs(other)):
            covered.update(other.slots)
    return covered >= set(info.slots)


def _build(place: Place, dim: int | None, work: _Work) -> SegmentInfo:
    """Read the log's rows of the range into a published folder."""
    folder = place.blobs.stage()
    try:
        return _written(place, folder, dim, work)
    except BaseException:
        place.blobs.discard(folder)
        raise


def _written(place: Place, folder: Path, dim: int | None, work: _Work) -> SegmentInfo:
    width = dim or _width(place, work)
    writer = SegmentWriter(folder, place.config, dim=width)
    after = work.seq_from
    while True:
        rows = place.log.tail(
            place.collection,
            after,
            generation=place.generation,
            slots=place.slots,
            limit=PAGE_ROWS,
            until=work.seq_to,
        )
        for row in rows:
            if row.op == "patch":
                writer.patch(row)
            elif (vectors := embedded(row, place.config, dim=width)) is not None:
                writer.add(row, vectors)
            elif work.seq_from:
                writer.drop(row.doc_id)
        if len(rows) < PAGE_ROWS:
            break
        after = rows[-1].seq
    checksum = writer.finish()
    info = _info(place, work, writer, checksum)
    place.blobs.publish(folder, info.path)
    return info


def _width(place: Place, work: _Work) -> int:
    """Return the width of the first vectors in the log, where the flow does not give one."""
    after = work.seq_from
    while rows := place.log.tail(
        place.collection,
        after,
        generation=place.generation,
        slots=place.slots,
        limit=100,
        until=work.seq_to,
    ):
        for row in rows:
            vectors = embedded(row, place.config, dim=None)
            if vectors is not None:
                return int(vectors.shape[1])
        after = rows[-1].seq
    return 1


def _info(place: Place, work: _Work, writer: SegmentWriter, checksum: str) -> SegmentInfo:
    segment_id = new_id()
    size = sum(path.stat().st_size for path in writer.folder.rglob("*") if path.is_file())
    return SegmentInfo(
        id=segment_id,
        collection=place.collection,
        generation=place.generation,
        index_name=place.config.name,
        slot_from=place.slots.start,
        slot_to=place.slots.stop,
        seq_from=work.seq_from,
        seq_to=work.seq_to,
        rows=writer.rows,
        documents=writer.documents,
        size_bytes=size,
        checksum=checksum,
        path=f"{place.collection}/{place.config.name}/{place.generation}/{segment_id}",
        created_at=time.time(),
    )
