"""The manifest: which segments there are. One row publishes a segment, one moment retires it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import (
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from indexstore.model import EVERY_GENERATION, SegmentInfo
from indexstore.schema import collections, documents, log, segments
from indexstore.store import AnyRow, Store, read_collection

_IS_LIVE = segments.c.retired_at.is_(None)

_SEGMENT = select(*(segments.c[field.name] for field in fields(SegmentInfo)))

_OVERLAPPING = (
    _SEGMENT.where(segments.c.collection == bindparam("of"), _IS_LIVE)
    .where(segments.c.index_name == bindparam("index_name"))
    .where(segments.c.generation == bindparam("generation"))
    .where(segments.c.slot_from < bindparam("slot_to"), segments.c.slot_to > bindparam("slot_from"))
    .order_by(segments.c.seq_from, segments.c.slot_from, segments.c.id)
)


#: A reader this far behind the log is slower to catch up than to start afresh.
KEEP_SEQS = 10_000


@dataclass(frozen=True, slots=True)
class Purged:
    """What a purge took away."""

    tombstones: int = 0
    patches: int = 0  # folded into their documents' rows
    segments: int = 0


class Manifest(Store):
    """Publish, list and retire segments, and throw away what no reader needs any more."""

    def segments(
        self, collection: str, index_name: str, *, generation: int, slots: range
    ) -> list[SegmentInfo]:
        """Return the live segments that hold rows of some slots, the oldest rows first."""
        parameters = {
            "of": collection, "index_name": index_name, "generation": generation,
            "slot_from": slots.start, "slot_to": slots.stop,
        }  # fmt: skip
        return [_segment_of(row) for row in self.database.rows(_OVERLAPPING, parameters)]

    def all_segments(self, collection: str, *, live_only: bool = True) -> list[SegmentInfo]:
        """Return every segment of a collection, for inspection and for exports."""
        query = _SEGMENT.where(segments.c.collection == collection)
        query = query.where(_IS_LIVE) if live_only else query
        rows = self.database.rows(query.order_by(segments.c.index_name, segments.c.slot_from), {})
        return [_segment_of(row) for row in rows]

    def publish(
        self, new: SegmentInfo, *, retires: Sequence[str] = (), purged_seq: int | None = None
    ) -> bool:
        """Make a segment visible to readers, and those that it replaces invisible, in one moment.

        Args:     purged_seq: how far the log was purged when its rows were first read.
        Returns:  False, and changes nothing, when one of ``retires`` is no longer live: somebody
                  else has compacted it; or when the log was purged since its rows were read, or
                  past the segment's end: it or its readers may lack a delete or a patch.
        """
        now = time.time()
        retired = (
            update(segments)
            .where(self.database.among(segments.c.id, "ids"), _IS_LIVE)
            .values(retired_at=now)
        )
        with self.database.writing() as connection:
            info = read_collection(connection, new.collection, lock=True)
            if info.purged_seq > (new.seq_to if purged_seq is None else purged_seq):
                return False
            ids = list(dict.fromkeys(retires))
            alive = self._alive(connection, ids)
            if alive != len(ids):
                return False
            if ids:
                connection.execute(retired, {"ids": self.database.list_of(ids)})
            connection.execute(insert(segments), asdict(new))
        return True

    def retire(self, collection: str, segment_ids: Sequence[str]) -> int:
        """Withdraw segments, as a corrupt one; its rows are in the log. Return how many."""
        retired = (
            update(segments)
            .where(self.database.among(segments.c.id, "ids"), _IS_LIVE)
            .values(retired_at=time.time())
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            listed = {"ids": self.database.list_of(list(segment_ids))}
            return connection.execute(retired, listed).rowcount

    def purge(
        self,
        collection: str,
        *,
        grace_s: float,
        keep_seqs: int = KEEP_SEQS,
        delete_files: Callable[[SegmentInfo], None],
        now: float | None = None,
    ) -> Purged:
        """Throw away what no reader needs: void tombstones and patches, long retired segments.

        A tombstone or patch is void when every live segment of its slots was built past it. A
        reader that has not come so far notices by ``purged_seq`` and loads the segments afresh;
        the newest ``keep_seqs`` sequence numbers are spared, so that readers on time never must.
        Files go first: a crash in between leaves a row that the next purge finds again.
        """
        moment = time.time() if now is None else now
        old = and_(segments.c.collection == collection, segments.c.retired_at <= moment - grace_s)
        gone = [_segment_of(row) for row in self.database.rows(_SEGMENT.where(old), {})]
        for segment in gone:
            delete_files(segment)
        with self.database.writing() as connection:
            info = read_collection(connection, collection, lock=True)
            patches, tombstones = self._purge_log(connection, collection, info.last_seq - keep_seqs)
            listed = {"ids": self.database.list_of([segment.id for segment in gone])}
            connection.execute(
                delete(segments).where(self.database.among(segments.c.id, "ids")), listed
            )
        return Purged(tombstones, patches, len(gone))

    def _alive(self, connection: Connection, ids: Sequence[str]) -> int:
        query = select(func.count()).select_from(segments).where(_IS_LIVE)
        query = query.where(self.database.among(segments.c.id, "ids"))
        return int(connection.scalar(query, {"ids": self.database.list_of(ids)}) or 0)

    def _purge_log(self, connection: Connection, collection: str, up_to: int) -> tuple[int, int]:
        built_before = (
            exists()
            .where(segments.c.collection == log.c.collection, _IS_LIVE)
            .where(segments.c.slot_from <= log.c.slot, segments.c.slot_to > log.c.slot)
            .where(segments.c.seq_to < log.c.seq)
        )
        void = and_(
            log.c.collection == collection, log.c.op != "upsert", log.c.seq <= up_to, ~built_before
        )
        query = select(
            log.c.seq, log.c.op, log.c.doc_id, log.c.version, log.c.tags, log.c.weight
        ).where(void)
        rows = connection.execute(query).fetchall()
        if not rows:
            return 0, 0
        patches = [row for row in rows if row.op == "patch"]
        for patch in patches:
            connection.execute(_fold(collection, patch))
        gone = delete(log).where(log.c.collection == collection, log.c.seq == bindparam("gone"))
        connection.execute(gone, [{"gone": row.seq} for row in rows])
        last = max(row.seq for row in rows)
        of_collection = update(collections).where(collections.c.name == collection)
        connection.execute(
            of_collection.where(collections.c.purged_seq < last).values(purged_seq=last)
        )
        return len(patches), len(rows) - len(patches)


def _fold(collection: str, patch: AnyRow) -> Any:
    """Return the statement that writes a patch into the rows it was made for.

    A generation that is being made may still have an older content: it must not pass for the
    newest because of a patch.
    """
    shown = (
        select(func.coalesce(documents.c.live_content_version, documents.c.content_version))
        .where(documents.c.collection == collection, documents.c.doc_id == patch.doc_id)
        .scalar_subquery()
    )
    return (
        update(log)
        .where(log.c.collection == collection, log.c.doc_id == patch.doc_id)
        .where(log.c.op == "upsert", log.c.generation != EVERY_GENERATION)
        .where(log.c.version < patch.version, log.c.version >= shown)
        .values(version=patch.version, tags=patch.tags, weight=patch.weight)
    )


def _segment_of(row: AnyRow) -> SegmentInfo:
    return SegmentInfo(*row)
