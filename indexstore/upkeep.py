"""House-keeping: what nobody needs any more goes, and its room is given back, by itself."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from indexstore.database import Database
from indexstore.document_codec import decode_content
from indexstore.ledger import Ledger
from indexstore.manifest import KEEP_SEQS, Manifest, Purged
from indexstore.model import SegmentInfo
from indexstore.schema import artefacts, documents, jobs

#: Room worth giving back: less than this is used again before anybody misses it.
_SPARE_BYTES = 1024 * 1024
_SPARE_SHARE = 0.05

#: Pages of one step: a few milliseconds in which writers wait.
_STEP_PAGES = 1000
_MAX_STEPS = 200


@dataclass(frozen=True, slots=True)
class UpkeepPolicy:
    """How long what is over is kept."""

    grace_s: float = 300.0  # retired segments, for readers that still have them open
    keep_seqs: int = KEEP_SEQS  # deletes and patches, for readers that are behind
    keep_jobs_s: float = 7 * 24 * 3600.0  # ended jobs, and with them their idempotency keys


def tidy(
    ledger: Ledger,
    collection: str,
    *,
    delete_files: Callable[[SegmentInfo], None],
    policy: UpkeepPolicy | None = None,
    now: float | None = None,
) -> Purged:
    """Purge the log, retired segments and old jobs of a collection, and give their room back.

    To be called now and then by one process (under a lease); it may be killed at any point and
    holds writers up for milliseconds only.

    Args:     delete_files: removes a retired segment's files; called again after a crash.
    """
    rules = policy or UpkeepPolicy()
    moment = time.time() if now is None else now
    purged = Manifest(ledger.database).purge(
        collection,
        grace_s=rules.grace_s,
        keep_seqs=rules.keep_seqs,
        delete_files=delete_files,
        now=moment,
    )
    ledger.purge_jobs(finished_before=moment - rules.keep_jobs_s)
    give_back(ledger.database)
    return purged


def referenced_blobs(ledger: Ledger) -> set[str]:
    """Return the names of all media that documents, shown or still on their way, refer to."""
    query = select(documents.c.body, documents.c.live_body).where(documents.c.modality != "text")
    found: set[str] = set()
    for body, live_body in ledger.database.tuples(query, {}):
        for raw in filter(None, (body, live_body)):
            found.update(blobs_of(decode_content(raw)))
    # What components learnt, and what trainings still read, lies beside the media.
    lessons = select(jobs.c.payload_hash).where(
        jobs.c.kind == "train", jobs.c.finished_at.is_(None)
    )
    for others in (select(artefacts.c.blob), lessons):
        found.update(name for (name,) in ledger.database.tuples(others, {}) if name)
    return found


def blobs_of(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the media that a document's content refers to."""
    for medium in content.values():
        if isinstance(medium, Mapping) and isinstance(medium.get("blob"), str):
            yield medium["blob"]


def give_back(database: Database) -> None:
    """Give free pages back to the file system, in short steps, until little is spare."""
    for _ in range(_MAX_STEPS):
        free = database.free_bytes()
        if free <= max(_SPARE_BYTES, _SPARE_SHARE * database.size_bytes()):
            return
        database.give_back_space(pages=_STEP_PAGES)
