"""Cancelling a job: what of it is not searchable yet never will be; what is, stays."""

import json
import time

from sqlalchemy import Connection, bindparam, delete, select, update

from indexstore.errors import JobNotFoundError
from indexstore.jobs import job_counts, job_of
from indexstore.model import Job
from indexstore.schema import documents, jobs
from indexstore.store import QUEUED, Store, read_collection

_WAITING = (
    (documents.c.collection == bindparam("of"))
    & (documents.c.job_id == bindparam("job"))
    & (documents.c.state == QUEUED)
)
_FORGET_NEW = delete(documents).where(_WAITING, documents.c.live_version.is_(None))
#: The content that searches show is the newest again; work under way on the other one finds it
#: superseded. Its row in the log has the version that searches were shown all the time.
_BRING_BACK = (
    update(documents)
    .where(_WAITING, documents.c.live_version.is_not(None))
    .values(
        state="indexed",
        error=None,
        version=documents.c.live_version,
        content_version=documents.c.live_content_version,
        body=documents.c.live_body,
        tags=documents.c.live_tags,
        weight=documents.c.live_weight,
        live_content_version=None,
        live_body=None,
        live_tags=None,
        live_weight=None,
        attempts=0,
        lease_until=0.0,
        updated_at=bindparam("now"),
    )
)


class Cancelling(Store):
    """End jobs that nobody wants any more."""

    def cancel_job(self, collection: str, job_id: str) -> Job:
        """Cancel a job that has not ended; one that has is returned as it ended.

        Documents of it that wait to be encoded are forgotten; of those that had an older content,
        that one is the newest again.

        Raises:   JobNotFoundError: there is none of that id.
        """
        now = time.time()
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            query = select(jobs).where(jobs.c.id == job_id, jobs.c.collection == collection)
            row = connection.execute(query).one_or_none()
            if row is None:
                raise JobNotFoundError(job_id)
            if row.finished_at is None:
                before = dict(job_counts(connection, row))
                before.pop("queued", None)
                dropped = self._drop(connection, collection, job_id, now)
                counts = {k: n for k, n in {**before, "cancelled": dropped}.items() if n}
                ended = update(jobs).where(jobs.c.id == job_id)
                connection.execute(
                    ended.values(state="cancelled", counts=json.dumps(counts), finished_at=now)
                )
                row = connection.execute(query).one()
            return job_of(row, job_counts(connection, row))

    def _drop(self, connection: Connection, collection: str, job_id: str, now: float) -> int:
        of = {"of": collection, "job": job_id}
        forgotten = connection.execute(_FORGET_NEW, of).rowcount
        return int(forgotten + connection.execute(_BRING_BACK, {**of, "now": now}).rowcount)
