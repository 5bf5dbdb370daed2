"""What is still to be encoded: handed out under leases, given up, or tried again."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, func, select, update

from indexstore.document_codec import encode_content
from indexstore.documents import DOCUMENT_COLUMNS, document_of
from indexstore.model import PendingDocument
from indexstore.schema import documents, jobs
from indexstore.store import IS_FAILED, QUEUED, Store, read_collection

_MINE = documents.c.collection == bindparam("of")
_QUEUED = documents.c.state == QUEUED

_COLUMNS = select(*DOCUMENT_COLUMNS).where(_MINE, _QUEUED)

#: Leases that ran out come first: somebody has been waiting for those documents the longest.
_RAN_OUT = (
    _COLUMNS.where(documents.c.lease_until > 0.0, documents.c.lease_until <= bindparam("now"))
    .order_by(documents.c.lease_until, documents.c.pending_since)
    .limit(bindparam("limit"))
)
_NEVER_LEASED = (
    _COLUMNS.where(documents.c.lease_until == 0.0)
    .order_by(documents.c.pending_since)
    .limit(bindparam("limit"))
)
_OUTSTANDING = (
    select(func.count())
    .select_from(documents)
    .where(_MINE, _QUEUED, documents.c.lease_until > bindparam("now"))
)
_UNDER_WAY = (
    select(documents.c.doc_id, documents.c.content_version)
    .where(_MINE, _QUEUED, documents.c.lease_until > bindparam("now"))
    .where(documents.c.lease_until <= bindparam("until"))
    .order_by(documents.c.lease_until, documents.c.pending_since)
    .limit(bindparam("limit"))
)


#: The end of a lease that somebody gave back: long past, and no "never".
KNOWN_LOST = 1.0
_OVERDUE = (
    select(documents.c.doc_id)
    .where(_MINE, _QUEUED)
    .where(documents.c.lease_until > KNOWN_LOST, documents.c.lease_until <= bindparam("now"))
    .limit(1)
)


class Dispatching(Store):
    """Leases on queued documents: a worker that dies only costs the rest of its lease."""

    def lease(
        self, collection: str, *, limit: int, lease_s: float, now: float | None = None
    ) -> list[PendingDocument]:
        """Take over up to ``limit`` queued documents for ``lease_s`` seconds; counts an attempt.

        First those whose lease ran out, then those that nobody has published yet, oldest first.
        No two callers get the same document while a lease runs.
        """
        moment = time.time() if now is None else now
        parameters = {"of": collection, "now": moment, "limit": limit}
        if not self.database.read(lambda connection: self._due(connection, parameters)):
            return []  # the common case takes no lock
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            due = self._due(connection, parameters)
            self._take(connection, collection, [row.doc_id for row in due], moment + lease_s)
        return [
            PendingDocument(
                document_of(row), row.content_version, row.job_id, row.attempts + 1, row.accepted_at
            )
            for row in due
        ]

    def outstanding(self, collection: str, *, now: float | None = None) -> int:
        """Return how many documents are published and not finished: their lease runs."""
        moment = time.time() if now is None else now
        parameters = {"of": collection, "now": moment}
        return int(self.database.rows(_OUTSTANDING, parameters)[0][0])

    def release_leases(self, collection: str) -> int:
        """Hand all running leases back, as after a wiped broker; these attempts do not count."""
        released = (
            update(documents)
            .where(documents.c.collection == collection, _QUEUED, documents.c.lease_until > 0.0)
            .values(
                lease_until=0.0,
                attempts=case((documents.c.attempts > 0, documents.c.attempts - 1), else_=0),
            )
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            return connection.execute(released).rowcount

    def extend_leases(
        self, collection: str, doc_ids: Sequence[str], *, lease_s: float, now: float | None = None
    ) -> int:
        """Prolong the leases of documents whose work is known to go on; return how many."""
        moment = time.time() if now is None else now
        prolonged = (
            update(documents)
            .where(_MINE, _QUEUED, documents.c.lease_until > 0.0)
            .where(self.database.among(documents.c.doc_id, "ids"))
            .values(lease_until=bindparam("until"))
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            listed = self.database.list_of(doc_ids)
            parameters = {"of": collection, "ids": listed, "until": moment + lease_s}
            return connection.execute(prolonged, parameters).rowcount

    def hand_back(self, collection: str, doc_ids: Sequence[str], *, counts: bool) -> int:
        """End the leases of documents that nobody works on any more; return how many.

        Args:     counts: as an attempt, after which they are handed out again before all others;
                  else the attempt is taken back, as if they had never been handed out.
        """
        one_less = case((documents.c.attempts > 0, documents.c.attempts - 1), else_=0)
        freed: dict[str, Any] = {"lease_until": KNOWN_LOST}
        if not counts:
            freed = {"lease_until": 0.0, "attempts": one_less}
        ended = (
            update(documents)
            .where(_MINE, _QUEUED, documents.c.lease_until > 0.0)
            .where(self.database.among(documents.c.doc_id, "ids"))
            .values(freed)
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            listed = {"of": collection, "ids": self.database.list_of(doc_ids)}
            return connection.execute(ended, listed).rowcount

    def under_way(
        self, collection: str, *, until: float, limit: int, now: float | None = None
    ) -> dict[str, int]:
        """Return content versions by id of documents whose lease runs, but not beyond ``until``."""
        moment = time.time() if now is None else now
        parameters = {"of": collection, "now": moment, "until": until, "limit": limit}
        rows = self.database.rows(_UNDER_WAY, parameters)
        return {row.doc_id: row.content_version for row in rows}

    def has_overdue(self, collection: str, *, now: float | None = None) -> bool:
        """Return whether a lease ran out by itself: that work may be late, or lost."""
        moment = time.time() if now is None else now
        return bool(self.database.rows(_OVERDUE, {"of": collection, "now": moment}))

    def settle_content(
        self, collection: str, doc_id: str, content_version: int, content: Mapping[str, Any]
    ) -> bool:
        """Replace a queued document's content by the same one, brought into the store.

        A content that was re-written or deleted meanwhile is left alone; tells whether it was not.
        """
        settled = (
            update(documents)
            .where(_MINE, _QUEUED, documents.c.doc_id == bindparam("id"))
            .where(documents.c.content_version == bindparam("at"))
            .values(body=encode_content(content))
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            parameters = {"of": collection, "id": doc_id, "at": content_version}
            return connection.execute(settled, parameters).rowcount > 0

    def record_failures(self, collection: str, failures: Sequence[tuple[str, int, str]]) -> int:
        """Mark contents that cannot be encoded: (doc_id, content_version, error); return how many.

        A content that was re-written, deleted or indexed meanwhile is left alone.
        """
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            return fail_documents(connection, collection, failures)

    def bury(self, collection: str, *, max_attempts: int, now: float | None = None) -> list[str]:
        """Declare dead what was tried ``max_attempts`` times in vain; return the ids."""
        moment = time.time() if now is None else now
        overdue = (
            _MINE
            & _QUEUED
            & (documents.c.lease_until > 0.0)
            & (documents.c.lease_until <= bindparam("now"))
            & (documents.c.attempts >= bindparam("max_attempts"))
        )
        parameters = {"of": collection, "now": moment, "max_attempts": max_attempts}
        if not self.database.rows(select(documents.c.doc_id).where(overdue).limit(1), parameters):
            return []
        error = f"given up after {max_attempts} attempts, each of which ended without an answer"
        buried = (
            update(documents)
            .where(overdue)
            .values(state="dead", error=error, updated_at=moment)
            .returning(documents.c.doc_id)
        )
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            return [row.doc_id for row in connection.execute(buried, parameters)]

    def retry(self, collection: str, doc_ids: Sequence[str] | None = None) -> list[str]:
        """Queue failed and dead documents again, all or these, and reopen their jobs.

        Returns:  the ids.
        """
        query = (
            update(documents)
            .where(documents.c.collection == collection, IS_FAILED)
            .values(state="queued", error=None, attempts=0, lease_until=0.0, updated_at=time.time())
            .returning(documents.c.doc_id, documents.c.job_id)
        )
        parameters: dict[str, Any] = {}
        if doc_ids is not None:
            query = query.where(self.database.among(documents.c.doc_id, "ids"))
            parameters["ids"] = self.database.list_of(doc_ids)
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            rows = connection.execute(query, parameters).fetchall()
            reopened = (
                update(jobs)
                .where(self.database.among(jobs.c.id, "jobs"))
                .values(state="running", finished_at=None, counts=None)
            )
            job_ids = sorted({row.job_id for row in rows})
            connection.execute(reopened, {"jobs": self.database.list_of(job_ids)})
        return [row.doc_id for row in rows]

    def _due(self, connection: Connection, parameters: dict[str, Any]) -> list[Any]:
        due = list(connection.execute(_RAN_OUT, parameters))
        room = parameters["limit"] - len(due)
        if room > 0:
            due += connection.execute(_NEVER_LEASED, {**parameters, "limit": room})
        return due

    def _take(
        self, connection: Connection, collection: str, doc_ids: Sequence[str], until: float
    ) -> None:
        taken = (
            update(documents)
            .where(_MINE, self.database.among(documents.c.doc_id, "ids"))
            .values(lease_until=bindparam("until"), attempts=documents.c.attempts + 1)
        )
        listed = self.database.list_of(doc_ids)
        connection.execute(taken, {"of": collection, "ids": listed, "until": until})


_FAIL = (
    update(documents)
    .where(documents.c.collection == bindparam("of"))
    .where(documents.c.doc_id == bindparam("of_doc_id"))
    .where(documents.c.content_version == bindparam("of_content"), _QUEUED)
    .values(state="failed", error=bindparam("why"), updated_at=bindparam("now"))
)


#: Characters of an error that are kept: a model's traceback is for the worker's log.
MAX_ERROR = 2000


def fail_documents(
    connection: Connection, collection: str, failures: Sequence[tuple[str, int, str]]
) -> int:
    """Mark contents as failed, in a transaction that holds the collection; return how many."""
    now, failed = time.time(), 0
    for doc_id, content_version, error in failures:
        why = error[:MAX_ERROR].replace(
            "\x00", "\N{REPLACEMENT CHARACTER}"
        )  # PostgreSQL's text has no U+0000
        parameters = {
            "of": collection, "of_doc_id": doc_id, "of_content": content_version,
            "why": why, "now": now,
        }  # fmt: skip
        failed += connection.execute(_FAIL, parameters).rowcount
    return failed
