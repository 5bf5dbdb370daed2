"""A cancelled job: what is searchable stays, what is not never will be."""

import pytest

from indexstore.errors import JobNotFoundError
from indexstore.ledger import Ledger
from indexstore.log import Log
from tests.indexstore.samples import EVERYTHING, C, accept, append, encoded, text_document


def test_what_waits_is_forgotten_and_what_is_indexed_stays(ledger: Ledger, log: Log) -> None:
    """Late work on a forgotten document changes nothing."""
    job_id = accept(ledger, *(text_document(name) for name in "abc")).job_id
    append(log, encoded("a", 1))

    job = ledger.cancel_job(C, job_id)
    late = append(log, encoded("b", 2), encoded("c", 3))

    assert (job.state, job.counts) == ("cancelled", {"indexed": 1, "cancelled": 2})
    assert job.finished_at is not None
    assert (late.indexed, late.superseded) == (0, 2)
    kept = ledger.get(C, "a")
    assert kept is not None
    assert (kept.state, ledger.get(C, "b")) == ("indexed", None)
    assert ledger.close_jobs() == []


def test_an_older_content_is_the_newest_again(ledger: Ledger, log: Log) -> None:
    """Searches go on showing it, under the version that its row in the log has."""
    accept(ledger, text_document("a", "old", tags={"n": 1}))
    append(log, encoded("a", 1))
    job_id = accept(ledger, text_document("a", "new", tags={"n": 2})).job_id

    ledger.cancel_job(C, job_id)
    late = append(log, encoded("a", 2, value=9.0))

    stored = ledger.get(C, "a")
    assert stored is not None
    assert (stored.document.content["text"], stored.document.tags) == ("old", {"n": 1})
    assert (stored.state, stored.version, late.superseded) == ("indexed", 1, 1)
    rows = log.tail(C, 0, generation=1, slots=EVERYTHING, limit=9)
    assert [(row.doc_id, row.version) for row in rows] == [("a", 1)]
    assert not ledger.has_pending(C, ledger.collection(C).last_version)


def test_it_can_be_written_again(ledger: Ledger, log: Log) -> None:
    """A later write is as good as any."""
    accept(ledger, text_document("a", "old"))
    append(log, encoded("a", 1))
    ledger.cancel_job(C, accept(ledger, text_document("a", "new")).job_id)

    (version,) = accept(ledger, text_document("a", "newest")).versions
    done = append(log, encoded("a", version))

    assert (version, done.indexed) == (3, 1)
    stored = ledger.get(C, "a")
    assert stored is not None
    assert stored.document.content["text"] == "newest"


def test_a_job_that_has_ended_stays_as_it_ended(ledger: Ledger, log: Log) -> None:
    """And one of nobody is an error."""
    job_id = accept(ledger, text_document("a")).job_id
    append(log, encoded("a", 1))
    ledger.close_jobs()

    assert ledger.cancel_job(C, job_id).state == "completed"
    with pytest.raises(JobNotFoundError):
        ledger.cancel_job(C, "nobody's")


def test_a_job_that_others_do_is_just_ended(ledger: Ledger) -> None:
    """A training or a change of shards has no documents in the ledger."""
    job = ledger.open_job(C, kind="reshard", total=3)

    assert ledger.cancel_job(C, job.id).state == "cancelled"
    assert ledger.open_jobs(C, kind="reshard") == []
