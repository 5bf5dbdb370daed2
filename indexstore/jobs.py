"""Jobs: batches of accepted documents, closed by the ledger's counts and by nothing else."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, bindparam, exists, func, select, update

from indexstore.errors import JobNotFoundError
from indexstore.model import Job, JobState, Page, new_id
from indexstore.reads import decode_cursor, encode_cursor
from indexstore.schema import documents, jobs
from indexstore.store import PART, QUEUED, AnyRow, Store, read_collection

_COUNTS = (
    select(documents.c.state, func.count().label("documents"))
    .where(documents.c.job_id == bindparam("job_id"))
    .group_by(documents.c.state)
)

_IS_WAITING = exists().where(documents.c.job_id == jobs.c.id, documents.c.state == QUEUED)

#: Only jobs over documents are closed by counting them; others are finished by who does them.
_DONE = select(jobs.c.id).where(jobs.c.finished_at.is_(None), jobs.c.kind == "index", ~_IS_WAITING)


class Jobs(Store):
    """Open, watch and close jobs."""

    def job(self, job_id: str) -> Job:
        """Return a job with its counts as they are now; those of an ended job stay as they were.

        Raises:   JobNotFoundError: there is none of that id.
        """

        def ask(connection: Connection) -> Job:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one_or_none()
            if row is None:
                raise JobNotFoundError(job_id)
            return job_of(row, job_counts(connection, row))

        return self.database.read(ask)

    def jobs(
        self,
        collection: str | None = None,
        *,
        limit: int = 100,
        cursor: str | None = None,
        states: Sequence[JobState] = (),
    ) -> Page[Job]:
        """Return jobs, the newest first (ids sort by time), a page at a time.

        Raises:   InvalidCursorError: the cursor is not one of ours.
        """
        query = select(jobs).where(jobs.c.kind != PART).order_by(jobs.c.id.desc()).limit(limit + 1)
        if collection is not None:
            query = query.where(jobs.c.collection == collection)
        if states:
            query = query.where(jobs.c.state.in_(states))
        if cursor is not None:
            query = query.where(jobs.c.id < decode_cursor(cursor))

        def ask(connection: Connection) -> Page[Job]:
            rows = connection.execute(query).fetchall()
            items = tuple(job_of(row, job_counts(connection, row)) for row in rows[:limit])
            return Page(items, encode_cursor(items[-1].id) if len(rows) > limit else None)

        return self.database.read(ask)

    def open_job(
        self,
        collection: str,
        *,
        kind: str,
        total: int = 0,
        reply_to: str | None = None,
        payload: str | None = None,
    ) -> Job:
        """Open a job that its doer finishes (a reindexing, a training), not the counts.

        Args:     payload: what the doer needs, such as the name of a blob; kept with the job.
        """
        with self.database.writing() as connection:
            info = read_collection(connection, collection)
            row = {
                "id": new_id(), "collection": collection, "kind": kind, "state": "running",
                "total": total, "token": info.last_version, "reply_to": reply_to,
                "created_at": time.time(), "payload_hash": payload,
            }  # fmt: skip
            connection.execute(self._insert(jobs), row)
        return self.job(str(row["id"]))

    def open_jobs(self, collection: str, *, kind: str) -> list[Job]:
        """Return the jobs of a kind that are not finished, the oldest first."""
        query = (
            select(jobs)
            .where(jobs.c.collection == collection, jobs.c.finished_at.is_(None))
            .where(jobs.c.kind == kind)
            .order_by(jobs.c.id)
        )
        return [job_of(row, _stored_counts(row)) for row in self.database.rows(query, {})]

    def note_progress(self, job_id: str, counts: Mapping[str, int], *, total: int) -> None:
        """Say how far a job has come that its doer finishes; an ended one is left alone."""
        noted = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.finished_at.is_(None), jobs.c.kind != "index")
            .values(counts=json.dumps(dict(counts)), total=total)
        )
        with self.database.writing() as connection:
            connection.execute(noted)

    def finish_job(self, job_id: str, state: JobState, *, error: str | None = None) -> Job:
        """End a job that ``open_job`` opened; ending it again changes nothing.

        Raises:   JobNotFoundError: there is none of that id.
        """
        ended = (
            update(jobs)
            .where(jobs.c.id == job_id, jobs.c.finished_at.is_(None))
            .values(
                state=state,
                error=error,
                counts=func.coalesce(jobs.c.counts, "{}"),
                finished_at=time.time(),
            )
        )
        with self.database.writing() as connection:
            connection.execute(ended)
        return self.job(job_id)

    def close_jobs(self) -> list[Job]:
        """End every job that waits for nothing any more; return those that this call ended.

        A job is completed when no document failed, failed when all did, else partial.
        """
        done = [row.id for row in self.database.rows(_DONE, {})]
        closed = []
        for job_id in done:  # a transaction each: a crash or a long list holds nobody up
            with self.database.writing() as connection:
                job = _close(connection, job_id)
            if job is not None:
                closed.append(job)
        return closed

    def purge_jobs(self, *, finished_before: float) -> int:
        """Forget jobs that ended before a moment, and their idempotency keys; return how many."""
        old = jobs.c.finished_at < finished_before
        with self.database.writing() as connection:
            return connection.execute(jobs.delete().where(old)).rowcount


def _close(connection: Connection, job_id: str) -> Job | None:
    # Locked first, judged by another statement: who waited for the lock would judge by documents
    # as they were before, and close a job that has just grown.
    connection.execute(select(jobs.c.id).where(jobs.c.id == job_id).with_for_update())
    if connection.execute(_DONE.where(jobs.c.id == job_id)).one_or_none() is None:
        return None  # somebody else closed it, or it has grown
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
    counts = job_counts(connection, row)
    state = _final_state(row.total, counts)
    now = time.time()
    ended = update(jobs).where(jobs.c.id == job_id)
    connection.execute(ended.values(state=state, counts=json.dumps(dict(counts)), finished_at=now))
    row = connection.execute(select(jobs).where(jobs.c.id == job_id)).one()
    return job_of(row, counts)


def _final_state(total: int, counts: Mapping[str, int]) -> JobState:
    failed = counts.get("failed", 0) + counts.get("dead", 0)
    if failed == 0:
        return "completed"
    return "failed" if failed == total else "partial"


def job_counts(connection: Connection, row: AnyRow) -> Mapping[str, int]:
    """Return how many documents of a job are in which state; of an ended one, as it ended."""
    if row.counts is not None or row.kind != "index":
        return _stored_counts(row)
    counts: Counter[str] = Counter()
    for state, number in connection.execute(_COUNTS, {"job_id": row.id}):
        counts[state] = number
    # Deleted or re-written since: their rows are gone or carry a later job's id.
    counts["superseded"] = row.total - counts.total()
    return dict(counts)


def _stored_counts(row: AnyRow) -> dict[str, int]:
    stored: dict[str, int] = json.loads(row.counts or "{}")
    return stored


def job_of(row: AnyRow, counts: Mapping[str, int]) -> Job:
    """Return a row of the table as a job."""
    return Job(
        id=row.id,
        collection=row.collection,
        kind=row.kind,
        state=row.state,
        total=row.total,
        counts=counts,
        token=row.token,
        reply_to=row.reply_to,
        error=row.error,
        created_at=row.created_at,
        finished_at=row.finished_at,
        payload=row.payload_hash,
    )
