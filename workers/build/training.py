"""The training task: documents in, what the flow's components learnt from them out, as artefacts.

Its documents lie in the media store and the job in the ledger, so a training that dies is done
again from the start; what it learnt is kept at its end, all or nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from typing import Any

from celery import shared_task

from compose.wire import codec, names
from indexstore.errors import IndexStoreError
from indexstore.model import Artefact, Job
from workers import metrics
from workers.build.lessons import Lesson, learn
from workers.component import state_digest
from workers.errors import TrainingError, WorkerError
from workers.learned import packed
from workers.leasing import held
from workers.runtime import Runtime, runtime

logger = logging.getLogger(__name__)


# Early acknowledgement, as for builds: the dispatcher asks again for a training that died.
@shared_task(name=names.TRAIN, acks_late=False)
def train(order: Mapping[str, Any]) -> None:
    """Do the training of a job, unless another worker is at one or it is done; idempotent."""
    state = runtime()
    with held(state, names.errand_lease("train", state.collection)) as is_ours:
        if not is_ours:
            return
        job = state.ledger.job(str(order["job_id"]))
        if job.finished_at is not None:
            return
        try:
            _train(state, job)
        except WorkerError as error:
            metrics.fail()
            state.ledger.finish_job(job.id, "failed", error=str(error))
        except IndexStoreError:
            raise  # the store could not be reached or written: the job stays open
        except Exception as error:
            logger.exception("train: job %s failed", job.id)
            metrics.fail()
            state.ledger.finish_job(job.id, "failed", error=f"{type(error).__name__}: {error}")


def _train(state: Runtime, job: Job) -> None:
    """Train, keep what was learnt, and end the job."""
    generation = state.generations.learnt_by(state.collection, job.id)
    if generation is None:  # else a worker died between keeping and ending
        generation = _learn(state, job)
    if generation is None:
        return
    # Without documents there is nothing to encode again: the new generation serves at once.
    state.generations.swap(state.collection, generation, job_id=job.id)
    state.ledger.finish_job(job.id, "completed")


def _learn(state: Runtime, job: Job) -> int | None:
    """Train and keep what was learnt; return the generation that it is for, None if cancelled."""
    generation = _generation(state)
    documents = codec.loads(state.media.get(str(job.payload)))
    started = time.time()
    lessons = learn(state, documents, generation)
    if state.ledger.job(job.id).finished_at is not None:
        return None  # cancelled meanwhile
    state.generations.keep_artefacts(
        state.collection, [_kept(state, lesson, job, generation) for lesson in lessons]
    )
    logger.info(
        "trained %s on %d documents in %.1f s, for generation %d",
        ", ".join(sorted({lesson.stage for lesson in lessons})),
        job.total,
        time.time() - started,
        generation,
    )
    return generation


def _generation(state: Runtime) -> int:
    """Return the generation that this training is for.

    Raises:
        TrainingError: the next one is being encoded right now.
    """
    if state.ledger.open_jobs(state.collection, kind="reindex"):
        raise TrainingError(
            state.collection, "its documents are being encoded again; wait for that job to end"
        )
    return state.generations.generation_to_learn(state.collection)


def _kept(state: Runtime, lesson: Lesson, job: Job, generation: int) -> Artefact:
    """Store what one component has learnt and describe it."""
    learnt = lesson.component.state()
    blob = state.media.put(packed(learnt))
    return Artefact(
        stage=lesson.stage,
        branch=lesson.branch,
        generation=generation,
        blob=blob.name,
        fingerprint=state_digest(learnt),
        trained_on=lesson.documents,
        job_id=job.id,
        created_at=time.time(),
    )
