"""Documents back out of a snapshot.

A restore is ordinary writing: every document is accepted again and its chunks, which came with the
snapshot, appended. So it needs no encoder, shards follow it by themselves, and it may be killed at
any point; documents come back page by page.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator, Sequence

from indexstore.archive import Archive, SnapshotInfo
from indexstore.model import Artefact, EncodedDocument, Job
from indexstore.snapshots import Entry, Snapshots, unpack
from workers.build.progress import JobProgress
from workers.errors import WorkerError
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_PAGE = 500  # documents of one transaction
_LEASE_S = 600.0  # between a document's acceptance and its chunks, a moment later


class RestoreError(WorkerError):
    """A snapshot cannot be restored into this collection."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(name, reason)
        self.name, self.reason = name, reason

    def __str__(self) -> str:
        return f"snapshot {self.name!r} cannot be restored here: {self.reason}"


def bring_back(state: Runtime, job: Job) -> None:
    """Restore the snapshot that a job names, and end the job.

    Raises:
        RestoreError: its vectors do not fit.
    """
    order = json.loads(job.payload or "{}")
    archive = Archive(state.settings["blob_url"], state.collection)
    info = archive.info(str(order["snapshot"]))
    since, is_encoding = int(order["since"]), bool(order["encode"])
    if not is_encoding:
        _require_vectors_that_fit(state, job, archive, info)
    for _ in archive.read(info):
        pass  # damage shall be found before anything is changed
    for blob in info.media:
        state.media.put(archive.medium(info, blob))
    progress = JobProgress(state, job, "restored", info.documents)
    writer = _Writer(state, job, since, is_encoding=is_encoding)
    known: set[str] = set()
    for data in archive.read(info):
        for page in _pages(unpack(info.name, data)):
            known.update(entry.document.doc_id for entry in page)
            writer.write(page)
            if not progress.add(len(page)):
                return
    _delete_others(state, known, since)
    state.announce_log()
    progress.tell()
    state.ledger.finish_job(job.id, "completed")
    logger.info("snapshot %s restored: %d documents", info.name, len(known))


def _require_vectors_that_fit(
    state: Runtime, job: Job, archive: Archive, info: SnapshotInfo
) -> None:
    """Make sure that the snapshot's vectors are of the encoder that serves.

    What components had learnt then comes back with it where the collection holds no vectors.

    Raises:
        RestoreError: they are of another one.
    """
    cure = "restore it with `encode`, which encodes its documents again"
    if info.fingerprint != state.plan.fingerprint:
        raise RestoreError(info.name, f"another flow has encoded it; {cure}")
    if info.lineage and info.lineage == state.lineage(state.generation()):
        return
    if state.generations.shown(state.collection):
        raise RestoreError(info.name, f"components have learnt something else since; {cure}")
    generation = state.generations.generation_to_learn(state.collection)
    for artefact in info.artefacts:
        state.media.put(archive.medium(info, str(artefact["blob"])))
    learnt = [
        Artefact(**artefact, generation=generation, job_id=job.id, created_at=time.time())
        for artefact in info.artefacts
    ]
    if learnt:
        state.generations.keep_artefacts(state.collection, learnt)
    state.generations.swap(state.collection, generation, job_id=job.id)


def _pages(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in pages in which no document stands twice."""
    page: dict[str, Entry] = {}
    for entry in entries:
        if len(page) >= _PAGE or entry.document.doc_id in page:
            yield list(page.values())
            page = {}
        page[entry.document.doc_id] = entry
    if page:
        yield list(page.values())


class _Writer:
    """Writes documents back: with their vectors, or to be encoded by a job of their own."""

    def __init__(self, state: Runtime, job: Job, since: int, *, is_encoding: bool) -> None:
        self._state, self._job = state, job
        self._since, self._is_encoding = since, is_encoding
        self._encoding: str | None = None  # the job of what must be encoded

    def write(self, page: Sequence[Entry]) -> None:
        """Write a page, without what somebody has written since the restore was asked for."""
        state, ids = self._state, [entry.document.doc_id for entry in page]
        newer = Snapshots(state.ledger.database).written_since(
            state.collection, ids, self._since, but_by=self._job.id
        )
        wanted = [entry for entry in page if entry.document.doc_id not in newer]
        ready = [one for one in wanted if one.chunks is not None and not self._is_encoding]
        if ready:
            self._append(ready)
        others = [one.document for one in wanted if one.chunks is None or self._is_encoding]
        if others:
            accepted = state.ledger.accept(
                state.collection, others, lease_s=0.0, job_id=self._encoding
            )
            self._encoding = accepted.job_id

    def _append(self, ready: Sequence[Entry]) -> None:
        state = self._state
        documents = [one.document for one in ready]
        accepted = state.ledger.accept(
            state.collection, documents, lease_s=_LEASE_S, job_id=self._job.id
        )
        rows = [
            EncodedDocument(one.document.doc_id, version, one.chunks)
            for one, version in zip(ready, accepted.versions, strict=True)
        ]
        state.log.append(state.collection, rows, generation=state.generation())


def _delete_others(state: Runtime, known: set[str], since: int) -> None:
    """Delete the documents that the snapshot does not have and nobody has written since."""
    store, after = Snapshots(state.ledger.database), ""
    while ids := store.ids_up_to(state.collection, since, after=after, limit=_PAGE):
        after = ids[-1]
        gone = [doc_id for doc_id in ids if doc_id not in known]
        if gone:
            state.ledger.delete(state.collection, gone)
