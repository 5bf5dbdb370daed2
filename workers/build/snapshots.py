"""The tasks of snapshots: both are jobs in the ledger; one that dies is begun anew by the next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from celery import shared_task

from compose.wire import names
from indexstore.errors import IndexStoreError, StorageBusyError, StorageUnavailableError
from indexstore.model import Job
from workers import metrics
from workers.build.restoring import bring_back
from workers.build.saving import save
from workers.errors import WorkerError
from workers.leasing import held
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)


@shared_task(name=names.SNAPSHOT, acks_late=False)
def snapshot(order: Mapping[str, Any]) -> None:
    """Write the snapshot of a job, unless another worker is at it or it is done; idempotent."""
    _do("snapshot", order, save)


@shared_task(name=names.RESTORE, acks_late=False)
def restore(order: Mapping[str, Any]) -> None:
    """Restore the snapshot of a job, unless another worker is at it or it is done; idempotent."""
    _do("restore", order, bring_back)


def _do(kind: str, order: Mapping[str, Any], work: Callable[[Runtime, Job], None]) -> None:
    state = runtime()
    with held(state, names.errand_lease(kind, state.collection)) as is_ours:
        if not is_ours:
            return
        job = state.ledger.job(str(order["job_id"]))
        if job.finished_at is not None:
            return
        try:
            work(state, job)
        except (StorageUnavailableError, StorageBusyError):
            raise  # the job stays open, and is done again
        except (WorkerError, IndexStoreError) as error:
            logger.warning("%s: job %s failed: %s", kind, job.id, error)
            metrics.fail()
            state.ledger.finish_job(job.id, "failed", error=str(error))
        except Exception as error:
            logger.exception("%s: job %s failed", kind, job.id)
            metrics.fail()
            state.ledger.finish_job(job.id, "failed", error=f"{type(error).__name__}: {error}")
