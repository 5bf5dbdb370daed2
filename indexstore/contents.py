"""What a shard holds in memory: opened segments, the delta, and how far the log has been read.

Only one thread changes it at a time; searches read the immutable parts it hands out.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress

import numpy as np

from indexstore.coverage import Coverage, coverage
from indexstore.delta import Delta
from indexstore.errors import CorruptSegmentError, IndexStoreError
from indexstore.model import Float32, IndexConfig, LogRow, SegmentInfo
from indexstore.part import Part
from indexstore.place import Place
from indexstore.scoring import finds_documents
from indexstore.segment import Patch, Segment, open_segment
from indexstore.vectors import checked_rows

GONE = None  # a document that no segment may show any more


class Contents:
    """Segments and delta of a shard, kept up with the log by ``apply``."""

    def __init__(
        self, place: Place, segments: Sequence[Segment], chain: Coverage, *, purged_seq: int = 0
    ) -> None:
        self.place = place
        self.purged_seq = purged_seq  # how far the log was purged when the segments were listed
        self.segments = tuple(segments)
        self.covered = chain.covered
        self.cursor = self.covered_seq = chain.seq(place.slots)
        self.refused = 0  # documents whose vectors this index cannot hold
        self.parts = _parts_of(self.segments)
        self._delta: Delta | None = None
        # One without documents, which only hides those of older ones, was written at any width.
        dims = {s.part.units.shape[1] for s in self.segments if s.part.count}
        self.dim = place.config.dim or (dims.pop() if dims else None)

    @property
    def delta_rows(self) -> int:
        """How many chunks the delta holds."""
        return 0 if self._delta is None else self._delta.rows

    def has_missed(self, purged_seq: int) -> bool:
        """Tell whether rows were purged that had not been read; only newer segments know of them.

        Args:     purged_seq: how far the log is purged now.
        """
        return purged_seq > max(self.purged_seq, self.cursor)

    def apply(self, rows: Sequence[LogRow]) -> None:
        """Take over the next rows of the log, in their order."""
        # What becomes of documents in segments: gone, or patched. Later rows overrule.
        changes: dict[str, Patch | None] = {}
        for row in rows:
            if row.seq <= self.covered[row.slot]:
                continue  # a segment of other slots reaches further: it knows
            if row.op == "upsert":
                self._upsert(row)
                changes[row.doc_id] = GONE
            elif row.op == "delete":
                self._drop(row.doc_id)
                changes[row.doc_id] = GONE
            elif self._delta is None or not self._delta.patch(row):
                changes[row.doc_id] = (row.version, row.weight, row.tags)
        if changes:
            self.parts = tuple(_changed(part, changes) for part in self.parts)

    def _upsert(self, row: LogRow) -> None:
        vectors = embedded(row, self.place.config, dim=self.dim)
        if vectors is None:
            self.refused += 1 if row.chunks else 0
            self._drop(row.doc_id)
            return
        if self._delta is None:
            self.dim = vectors.shape[1]
            config = self.place.config
            self._delta = Delta(config, dim=self.dim, by_document=finds_documents(config))
        self._delta.upsert(row, vectors)

    def _drop(self, doc_id: str) -> None:
        if self._delta is not None:
            self._delta.drop(doc_id)

    def freeze(self) -> tuple[Part, ...]:
        """Return the parts as they are now, for searches."""
        parts = tuple(part for part in self.parts if part.live_count)
        if self._delta is None or not len(self._delta):
            return parts
        return (*parts, self._delta.freeze())


def embedded(row: LogRow, config: IndexConfig, *, dim: int | None) -> Float32 | None:
    """Return the vectors of a row that this index holds; None when it cannot hold them."""
    if row.chunks is None or not len(row.chunks):
        return None
    if config.kind == "text":
        return None if row.chunks.texts is None else np.empty((len(row.chunks), 0), np.float32)
    vectors = row.chunks.embeddings.get(config.vector)
    if vectors is None or len(vectors) != len(row.chunks):
        return None
    try:
        return checked_rows(vectors, dim=dim, metric=config.metric)
    except IndexStoreError:
        # The index step refuses such documents; one that came by another way must not stop
        # the shard from reading on.
        return None


def load(
    place: Place,
    infos: Sequence[SegmentInfo],
    *,
    opened: Mapping[str, Segment],
    corrupt: dict[str, str],
    purged_seq: int,
) -> Contents:
    """Open the listed segments afresh; what cannot be served is read from the log instead.

    Segments already opened are taken over. Those found corrupt are entered in ``corrupt`` and
    not tried again.
    """
    while True:
        chain = coverage((info for info in infos if info.id not in corrupt), place.slots)
        if corrupt and chain.seq(place.slots) < purged_seq:
            # Deletes that only the corrupt segment knew may have left the log: whoever they
            # hit in older segments cannot be told. The log itself holds no deleted document.
            chain = coverage((), place.slots)
        try:
            segments = [opened.get(info.id) or _fetch(place, info) for info in chain.segments]
            return Contents(place, segments, chain, purged_seq=purged_seq)
        except CorruptSegmentError as error:
            corrupt[error.segment] = error.reason


def opened_ahead(
    place: Place, infos: Iterable[SegmentInfo], known: Container[str]
) -> dict[str, Segment]:
    """Open the listed segments that will be needed and are not known yet; corrupt ones are not.

    Raises:   BlobsUnavailableError: one cannot be fetched now.
    """
    found = {}
    for info in coverage(infos, place.slots).segments:
        if info.id not in known:
            with suppress(CorruptSegmentError):  # ``load`` finds out too, and tells
                found[info.id] = _fetch(place, info)
    return found


def _fetch(place: Place, info: SegmentInfo) -> Segment:
    for is_last in (False, True):
        try:
            folder = place.blobs.fetch(info.path)
            return open_segment(info, folder, place.config, place.slots)
        except FileNotFoundError as error:
            raise CorruptSegmentError(info.id, f"its folder is missing ({error})") from error
        except CorruptSegmentError:
            # The copy on this machine may be bad and the original good.
            if is_last or not place.blobs.forget(info.path):
                raise
    raise CorruptSegmentError(info.id, "it cannot be fetched")


def _parts_of(segments: Sequence[Segment]) -> tuple[Part, ...]:
    """Return the parts with everything dead or patched that newer segments say is."""
    parts = []
    for age, segment in enumerate(segments):
        part = segment.part
        for newer in segments[age + 1 :]:
            part = part.without(segment.ids.shared_with(newer.ids))
            part = part.without(segment.ids.shared_with(newer.dropped))
            part = _patched(part, newer.patches)
        parts.append(part)
    return tuple(parts)


def _changed(part: Part, changes: Mapping[str, Patch | None]) -> Part:
    gone = [doc_id for doc_id, change in changes.items() if change is GONE]
    at = part.columns.ids.find(gone)
    part = part.without(at[at >= 0])
    return _patched(part, {i: change for i, change in changes.items() if change is not GONE})


def _patched(part: Part, patches: Mapping[str, Patch]) -> Part:
    if not patches:
        return part
    found = part.columns.ids.find(list(patches)).tolist()
    return part.patched_with(
        {
            at: patch
            for at, patch in zip(found, patches.values(), strict=True)
            if at >= 0 and part.live[at]
        }
    )
