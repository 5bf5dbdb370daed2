"""House-keeping: what nobody needs any more goes, and its room is given back, by itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from indexstore.database import Database
from indexstore.ledger import Ledger
from indexstore.manifest import KEEP_SEQS, Manifest, Purged
from indexstore.model import SegmentInfo

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


def give_back(database: Database) -> None:
    """Give free pages back to the file system, in short steps, until little is spare."""
    for _ in range(_MAX_STEPS):
        free = database.free_bytes()
        if free <= max(_SPARE_BYTES, _SPARE_SHARE * database.size_bytes()):
            return
        database.give_back_space(pages=_STEP_PAGES)
