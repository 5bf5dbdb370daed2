"""Accept, patch and delete documents: each one short transaction, and durable when it returns."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, case, delete, insert, select, update

from indexstore.document_codec import (
    check_weight,
    decode_tags,
    encode_tags,
    payload_hash,
)
from indexstore.documents import merged_tags, row_of
from indexstore.errors import (
    DocumentNotFoundError,
    IdempotencyConflictError,
    VersionConflictError,
)
from indexstore.model import EVERY_GENERATION, Acceptance, Deletion, Document, new_id
from indexstore.schema import documents, jobs, log
from indexstore.store import INDEXED, PART, QUEUED, AnyRow, Store, advance, batches, read_collection

#: Documents of one delete transaction: long enough to be cheap, short enough to let others write.
_DELETE_BATCH = 1000

_HEAD = select(
    documents.c.doc_id,
    documents.c.slot,
    documents.c.version,
    documents.c.content_version,
    documents.c.state,
    documents.c.tags,
    documents.c.weight,
).where(documents.c.collection == bindparam("of"))


class Writes(Store):
    """The three writes that users do."""

    def accept(
        self,
        collection: str,
        new: Sequence[Document],
        *,
        lease_s: float,
        job_id: str | None = None,
        idempotency_key: str | None = None,
        reply_to: str | None = None,
    ) -> Acceptance:
        """Store documents, each as its id's newest version; from here on nothing may lose them.

        Of two with the same id in one batch the later is kept; both get a version, and the job
        counts the earlier as superseded. A job that exists grows by these documents.

        Args:     lease_s: seconds in which the caller sees to the encoding; 0: the dispatcher does.
                  job_id: the job that these documents belong to, which begins or grows with them.
                  idempotency_key: of this batch; each batch of a job has its own.
        Raises:   InvalidDocumentError: one cannot be stored; then none is.
                  IdempotencyConflictError: the key came with other documents before.
        """
        rows = [row_of(document) for document in new]
        digest = None if idempotency_key is None else payload_hash(rows)
        now = time.time()
        job: dict[str, Any] = {
            "id": job_id or new_id(), "collection": collection, "kind": "index",
            "state": "running", "total": len(rows), "reply_to": reply_to, "created_at": now,
            "idempotency_key": idempotency_key, "payload_hash": digest,
        }  # fmt: skip
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            earlier = _earlier(connection, collection, idempotency_key, (digest, len(rows)))
            if earlier is not None:
                return earlier
            token, _ = advance(connection, collection, versions=len(rows))
            connection.execute(self._open_job(), {**job, "token": token})
            versions = tuple(range(token - len(rows) + 1, token + 1))
            self._store(connection, rows, versions, job, lease_s=lease_s)
            if job_id is not None and idempotency_key is not None:
                part = {**job, "id": f"{job_id}/{token}", "kind": PART, "state": "completed"}
                connection.execute(insert(jobs), {**part, "token": token, "finished_at": now})
        return Acceptance(job["id"], token, versions)

    def patch(
        self,
        collection: str,
        doc_id: str,
        *,
        tags: Mapping[str, Any] | None = None,
        weight: float | None = None,
        if_match: int | None = None,
    ) -> int:
        """Change tags (None removes a key) and weight without encoding again; return the version.

        It concerns the newest accepted content; one that is being encoded appears with it.

        Raises:   DocumentNotFoundError: there is no such document. VersionConflictError: it is
                  not at version ``if_match``. InvalidDocumentError: the change is no JSON.
        """
        with self.database.writing() as connection:
            read_collection(connection, collection, lock=True)
            query = _HEAD.where(documents.c.doc_id == doc_id)
            head = connection.execute(query, {"of": collection}).one_or_none()
            if head is None:
                raise DocumentNotFoundError(collection, doc_id)
            _require_version(doc_id, if_match, head.version)
            new_tags = head.tags
            if tags:
                new_tags = encode_tags(doc_id, merged_tags(decode_tags(head.tags), tags))
            new_weight = head.weight if weight is None else float(weight)
            check_weight(doc_id, new_weight)
            is_live = head.state == "indexed"
            version, seq = advance(connection, collection, versions=1, seqs=int(is_live))
            changed: dict[str, Any] = {"version": version, "tags": new_tags, "weight": new_weight}
            if is_live:
                _log_patch(connection, collection, head, {**changed, "seq": seq})
                changed["live_version"] = version
            else:
                _amend_ahead(connection, collection, head, changed)
            patched = update(documents).where(_of_document(documents, collection, doc_id))
            connection.execute(patched.values(**changed, updated_at=time.time()))
        return int(version)

    def delete(
        self, collection: str, doc_ids: Iterable[str], *, if_match: int | None = None
    ) -> Deletion:
        """Delete documents; they are gone from every answer when this returns.

        Long lists, as of a filter, are deleted in several transactions.

        Raises:   VersionConflictError: one is not at version ``if_match``.
        """
        deleted: list[str] = []
        token = self._current_version(collection)
        for batch in batches(list(dict.fromkeys(doc_ids)), _DELETE_BATCH):
            with self.database.writing() as connection:
                gone, token = self._delete(connection, collection, batch, if_match=if_match)
                deleted += gone
        return Deletion(token, tuple(deleted))

    def _current_version(self, collection: str) -> int:
        return self.database.read(lambda c: read_collection(c, collection)).last_version

    def _delete(
        self,
        connection: Connection,
        collection: str,
        doc_ids: Sequence[str],
        *,
        if_match: int | None,
    ) -> tuple[list[str], int]:
        info = read_collection(connection, collection, lock=True)
        listed = {"of": collection, "ids": self.database.list_of(doc_ids)}
        query = _HEAD.where(self.database.among(documents.c.doc_id, "ids"))
        heads = connection.execute(query, listed).fetchall()
        if not heads:
            return [], info.last_version
        for head in heads:
            _require_version(head.doc_id, if_match, head.version)
        version, seq = advance(connection, collection, versions=len(heads), seqs=len(heads))
        # Only of those that are here: of one deleted before, the tombstone must stay in the log
        # for readers that have not come to it yet.
        listed["ids"] = self.database.list_of([head.doc_id for head in heads])
        for table in (documents, log):
            among = self.database.among(table.c.doc_id, "ids")
            same = table.c.collection == bindparam("of")
            connection.execute(delete(table).where(same, among), listed)
        rows = [
            {
                "collection": collection, "seq": seq - place, "generation": EVERY_GENERATION,
                "slot": head.slot, "op": "delete", "doc_id": head.doc_id,
                "version": version - place, "tags": "{}", "weight": 0.0,
            }
            for place, head in enumerate(reversed(heads))
        ]  # fmt: skip
        connection.execute(insert(log), rows)
        return [head.doc_id for head in heads], version

    def _store(
        self,
        connection: Connection,
        rows: Sequence[dict[str, Any]],
        versions: Sequence[int],
        job: Mapping[str, Any],
        *,
        lease_s: float,
    ) -> None:
        now = job["created_at"]
        shared = {
            "collection": job["collection"], "state": "queued", "job_id": job["id"],
            "attempts": int(lease_s > 0), "lease_until": now + lease_s if lease_s > 0 else 0.0,
            "accepted_at": now, "updated_at": now, "error": None,
        }  # fmt: skip
        newest = {
            row["doc_id"]: {
                **row, **shared, "version": version, "content_version": version,
                "pending_since": version,
            }
            for row, version in zip(rows, versions, strict=True)
        }  # fmt: skip
        if newest:
            connection.execute(self._upsert(), list(newest.values()))

    def _upsert(self) -> Any:
        """Return the UPSERT that leaves the old content to the searches until the new is ready."""
        statement = self._insert(documents)
        kept = {"collection", "doc_id", "slot", "live_version", "pending_since"}
        fresh = {
            column.name: statement.excluded[column.name]
            for column in documents.columns
            if column.name not in kept and not column.name.startswith("live_")
        }
        was_live, was_queued = documents.c.state == INDEXED, documents.c.state == QUEUED
        stays_live = {
            f"live_{name}": case((was_live, documents.c[name]), else_=documents.c[f"live_{name}"])
            for name in ("content_version", "body", "tags", "weight")
        }
        waiting = case(
            (was_queued, documents.c.pending_since), else_=statement.excluded.pending_since
        )
        return statement.on_conflict_do_update(
            index_elements=[documents.c.collection, documents.c.doc_id],
            set_={**fresh, **stays_live, "pending_since": waiting},
        )

    def _open_job(self) -> Any:
        statement = self._insert(jobs)
        grown = {
            "total": jobs.c.total + statement.excluded.total,
            "token": statement.excluded.token,
            "state": "running",
            "finished_at": None,
            "counts": None,
        }
        return statement.on_conflict_do_update(index_elements=[jobs.c.id], set_=grown)


def _earlier(
    connection: Connection, collection: str, key: str | None, batch: tuple[str | None, int]
) -> Acceptance | None:
    """Return what an earlier request with the same key was answered."""
    digest, count = batch
    if key is None:
        return None
    where = (jobs.c.collection == collection) & (jobs.c.idempotency_key == key)
    job = connection.execute(select(jobs).where(where)).one_or_none()
    if job is None:
        return None
    if job.payload_hash != digest:
        raise IdempotencyConflictError(collection, key)
    # Of a job that has grown since, the numbers of its first batch are not known any more.
    is_whole = job.total == count
    versions = tuple(range(job.token - count + 1, job.token + 1)) if is_whole else ()
    return Acceptance(job.id.partition("/")[0], job.token, versions, repeated=True)


def _log_patch(
    connection: Connection, collection: str, head: AnyRow, changed: Mapping[str, Any]
) -> None:
    """Append the patch of a searchable document, in place of the one before it."""
    before = _of_document(log, collection, head.doc_id) & (log.c.op == "patch")
    connection.execute(delete(log).where(before))
    row = {
        "collection": collection, "generation": EVERY_GENERATION, "slot": head.slot,
        "op": "patch", "doc_id": head.doc_id, **changed,
    }  # fmt: skip
    connection.execute(insert(log), row)


def _amend_ahead(
    connection: Connection, collection: str, head: AnyRow, changed: Mapping[str, Any]
) -> None:
    """Append the newest content anew where a generation that is being made has it already.

    Not as a patch: those concern every generation, and others still show an older content.
    """
    mine = log.c.collection == collection
    of_document = mine & (log.c.doc_id == head.doc_id) & (log.c.op == "upsert")
    ahead = select(log.c.seq).where(of_document, log.c.version >= head.content_version)
    for row in connection.execute(ahead).fetchall():
        _, seq = advance(connection, collection, seqs=1)
        moved = update(log).where(mine, log.c.seq == row.seq)
        connection.execute(moved.values(**changed, seq=seq))


def _of_document(table: Any, collection: str, doc_id: str) -> Any:
    return (table.c.collection == collection) & (table.c.doc_id == doc_id)


def _require_version(doc_id: str, expected: int | None, current: int) -> None:
    if expected is not None and expected != current:
        raise VersionConflictError(doc_id, expected, current)
