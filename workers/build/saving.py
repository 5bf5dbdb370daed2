"""A collection as of one moment, written to the files of a snapshot."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from typing import Any

from indexstore.archive import Archive, SnapshotInfo, medium_file
from indexstore.media import BlobNotFoundError
from indexstore.model import Artefact, Job
from indexstore.snapshots import Entry, Snapshots, pack
from indexstore.upkeep import blobs_of
from workers.build.progress import JobProgress
from workers.runtime import Runtime

logger = logging.getLogger(__name__)

_PART_BYTES = 32 * 2**20


def save(state: Runtime, job: Job) -> None:
    """Write the snapshot that a job names, and end the job."""
    name = str(job.payload)
    archive = Archive(state.settings["blob_url"], state.collection)
    progress = JobProgress(state, job, "saved", job.total)
    generation = state.generation()
    parts: list[tuple[str, str]] = []
    media: dict[str, None] = {}
    size = encoded = documents = 0
    for entries in _grouped(state):
        data = pack(entries)
        file = f"documents-{len(parts):05d}.msgpack"
        parts.append((file, archive.write(name, file, data)))
        size += len(data)
        encoded += sum(entry.chunks is not None for entry in entries)
        documents += len({entry.document.doc_id for entry in entries})
        media |= dict.fromkeys(b for entry in entries for b in blobs_of(entry.document.content))
        if not progress.add(len(entries)):
            archive.delete(name)
            return
    artefacts = state.generations.artefacts(state.collection, generation).values()
    media |= dict.fromkeys(one.blob for one in artefacts)
    kept, media_bytes = _copy_media(state, archive, name, media)
    archive.finish(
        SnapshotInfo(
            name=name,
            collection=state.collection,
            fingerprint=state.plan.fingerprint,
            lineage=state.lineage(generation) or "",
            documents=documents,
            encoded=encoded,
            size_bytes=size + media_bytes,
            created_at=time.time(),
            parts=tuple(parts),
            media=tuple(kept),
            artefacts=tuple(_plain(one) for one in artefacts),
        )
    )
    progress.tell()
    state.ledger.finish_job(job.id, "completed")
    logger.info("snapshot %s: %d documents, %d bytes", name, documents, size + media_bytes)


def _grouped(state: Runtime) -> Iterator[list[Entry]]:
    """Yield the collection's entries in parts of about equal bytes."""
    group: list[Entry] = []
    weight = 0
    for _, entries in Snapshots(state.ledger.database).entries(state.collection):
        group += entries
        weight += sum(map(_weight, entries))
        if weight >= _PART_BYTES:
            yield group
            group, weight = [], 0
    if group:
        yield group


def _weight(entry: Entry) -> int:
    text = entry.document.content.get("text")
    rows = entry.chunks.embeddings.values() if entry.chunks is not None else ()
    return len(text or "") + sum(row.nbytes for row in rows) + 200


def _copy_media(
    state: Runtime, archive: Archive, name: str, media: Iterable[str]
) -> tuple[list[str], int]:
    """Copy media into a snapshot (by link, where files allow it); return which, and their bytes."""
    kept, size = [], 0
    for blob in media:
        try:
            original = state.media.local_path(blob)
            if original is None or not archive.link(name, medium_file(blob), original):
                archive.write(name, medium_file(blob), state.media.get(blob))
            size += state.media.size_bytes(blob)
        except BlobNotFoundError:
            logger.warning("snapshot %s: medium %s is missing", name, blob)
            continue
        kept.append(blob)
    return kept, size


def _plain(artefact: Artefact) -> dict[str, Any]:
    return {
        "stage": artefact.stage, "branch": artefact.branch, "blob": artefact.blob,
        "fingerprint": artefact.fingerprint, "trained_on": artefact.trained_on,
    }  # fmt: skip
