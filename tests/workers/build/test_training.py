"""A training that dies is done again, and what it had kept already is not learnt twice."""

from dataclasses import asdict
from pathlib import Path

from sqlalchemy import update

from compose.wire import codec
from indexstore.migrations import migrate
from indexstore.model import Job
from indexstore.schema import jobs
from tests.workers.build.test_lessons import CHAIN, documents, state_of
from workers.build.training import _train
from workers.runtime import Runtime


def opened(tmp_path: Path) -> tuple[Runtime, Job]:
    """Return a build worker's runtime, and the open job of a training."""
    state = state_of(CHAIN, tmp_path)
    migrate(state.settings["database_url"])
    state.ledger.ensure_collection("chain", fingerprint="f", shards=1)
    blob = state.media.put(codec.dumps(documents(40)))
    return state, state.ledger.open_job("chain", kind="train", total=40, payload=blob.name)


def reopened(state: Runtime, job: Job) -> Job:
    """Return the job as it is when its worker died just before ending it."""
    with state.ledger.database.writing() as connection:
        connection.execute(
            update(jobs).where(jobs.c.id == job.id).values(finished_at=None, state="running")
        )
    return state.ledger.job(job.id)


def test_a_training_whose_worker_died_at_its_end_only_ends(tmp_path: Path) -> None:
    """Its artefacts stay those of the generation that they were learnt for."""
    state, job = opened(tmp_path)
    _train(state, job)
    before = state.generations.artefacts("chain", 9)

    _train(state, reopened(state, job))

    after = state.generations.artefacts("chain", 9)
    assert {key: asdict(one) for key, one in after.items()} == {
        key: asdict(one) for key, one in before.items()
    }
    assert [one.generation for one in after.values()] == [1]
    assert state.ledger.job(job.id).state == "completed"


def test_a_second_training_is_for_the_next_generation(tmp_path: Path) -> None:
    """Another job learns anew, whatever the first one has kept."""
    state, job = opened(tmp_path)
    _train(state, job)
    second = state.ledger.open_job("chain", kind="train", total=40, payload=job.payload)

    _train(state, second)

    assert state.generations.learnt_by("chain", job.id) == 1
    assert state.generations.learnt_by("chain", second.id) == 2
