"""Jobs end when the ledger says so."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import pytest

from indexstore.documents import row_of
from indexstore.errors import InvalidCursorError, JobNotFoundError
from indexstore.ledger import Ledger
from indexstore.log import Log
from tests.indexstore.samples import C, accept, append, encoded, store, text_document


def test_a_job_counts_its_documents(ledger: Ledger, log: Log) -> None:
    """By state, as they are now."""
    acceptance = ledger.accept(
        C, [text_document(name) for name in "abcd"], lease_s=0, reply_to="replies.1"
    )
    append(log, encoded("a", 1))
    ledger.record_failures(C, [("b", 2, "broken")])
    ledger.delete(C, ["c"])

    job = ledger.job(acceptance.job_id)

    assert (job.state, job.total, job.kind, job.reply_to) == ("running", 4, "index", "replies.1")
    assert job.counts == {"indexed": 1, "failed": 1, "queued": 1, "superseded": 1}
    assert (job.pending, job.token, job.collection) == (1, 4, C)


@pytest.mark.parametrize(
    ("indexed", "failed", "deleted", "state"),
    [
        ("ab", "", "", "completed"),
        ("a", "b", "", "partial"),
        ("", "ab", "", "failed"),
        ("a", "", "b", "completed"),
        ("", "a", "b", "partial"),
        ("", "", "ab", "completed"),
    ],
)
def test_a_job_ends_when_nothing_is_pending(
    ledger: Ledger, log: Log, indexed: str, failed: str, deleted: str, state: str
) -> None:
    """Completed, partial or failed, by what became of its documents."""
    accept(ledger, text_document("a"), text_document("b"))
    versions = {"a": 1, "b": 2}
    append(log, *(encoded(name, versions[name]) for name in indexed))
    ledger.record_failures(C, [(name, versions[name], "broken") for name in failed])
    ledger.delete(C, deleted)

    (job,) = ledger.close_jobs()

    assert job.state == state
    assert job.finished_at is not None
    assert sum(job.counts.values()) == 2


def test_a_job_with_something_pending_stays_open(ledger: Ledger, log: Log) -> None:
    """However long it takes."""
    accept(ledger, text_document("a"), text_document("b"))
    append(log, encoded("a", 1))

    assert ledger.close_jobs() == []


def test_a_job_is_closed_once(ledger: Ledger, log: Log) -> None:
    """Of several that close, one is told, so that one announces it."""
    store(ledger, log, text_document("a"))

    assert len(ledger.close_jobs()) == 1
    assert ledger.close_jobs() == []


def test_an_ended_job_keeps_its_counts(ledger: Ledger, log: Log) -> None:
    """What happens to the documents later is another job's business."""
    acceptance = store(ledger, log, text_document("a"))
    ledger.close_jobs()

    store(ledger, log, text_document("a", "new"))
    ledger.delete(C, ["a"])

    assert ledger.job(acceptance.job_id).counts == {"indexed": 1, "superseded": 0}


def test_a_job_can_grow(ledger: Ledger, log: Log) -> None:
    """A long upload is one job of many batches, also when it was closed in between."""
    first = store(ledger, log, text_document("a"))
    ledger.close_jobs()

    second = ledger.accept(C, [text_document("b")], lease_s=0, job_id=first.job_id)

    job = ledger.job(first.job_id)
    assert second.job_id == first.job_id
    assert (job.total, job.state, job.token) == (2, "running", 2)
    assert job.counts == {"indexed": 1, "queued": 1, "superseded": 0}


def test_a_job_that_is_growing_is_not_closed(ledger: Ledger, log: Log) -> None:
    """Also when it is judged just before the documents that make it grow are committed."""
    first = store(ledger, log, text_document("a"))
    row = row_of(text_document("b"))
    job = {
        "id": first.job_id, "collection": C, "kind": "index", "state": "running", "total": 1,
        "token": 2, "reply_to": None, "created_at": 1.0, "idempotency_key": None,
        "payload_hash": None,
    }  # fmt: skip

    with ThreadPoolExecutor(1) as pool:
        with ledger.database.writing() as connection:
            connection.execute(ledger._open_job(), job)
            ledger._store(connection, [row], [2], job, lease_s=0)
            closing = pool.submit(ledger.close_jobs)
            time.sleep(0.3)  # it has judged by now, and waits for the lock
        closed = closing.result()

    assert closed == []
    assert ledger.job(first.job_id).state == "running"
    assert ledger.job(first.job_id).counts == {"indexed": 1, "queued": 1, "superseded": 0}


def test_jobs_of_another_kind_end_by_their_doers_word(ledger: Ledger) -> None:
    """Counting documents does not close a reindexing."""
    job = ledger.open_job(C, kind="reindex", total=5)

    closed = ledger.close_jobs()
    ended = ledger.finish_job(job.id, "failed", error="no such encoder")
    again = ledger.finish_job(job.id, "completed")

    assert closed == []
    assert (ended.state, ended.error) == ("failed", "no such encoder")
    assert again == ended


def test_an_unknown_job_is_an_error(ledger: Ledger) -> None:
    """Asked for or ended."""
    with pytest.raises(JobNotFoundError):
        ledger.job("x")
    with pytest.raises(JobNotFoundError):
        ledger.finish_job("x", "completed")


def test_jobs_are_listed_newest_first(ledger: Ledger, log: Log) -> None:
    """In pages, of one collection or all, in some states or any."""
    made = [accept(ledger, text_document("a")).job_id for _ in range(5)]
    append(log, encoded("a", 5))
    ledger.close_jobs()
    ledger.ensure_collection("other", fingerprint="f", shards=1)
    elsewhere = ledger.accept("other", [text_document("b")], lease_s=0).job_id

    page = ledger.jobs(C, limit=3)
    rest = ledger.jobs(C, limit=3, cursor=page.cursor)
    running: Mapping[str, str] = {
        job.id: job.state for job in ledger.jobs(states=["running"]).items
    }

    listed = [job.id for job in page.items + rest.items]
    assert sorted(listed) == sorted(made)
    assert (len(page.items), rest.cursor) == (3, None)
    assert running == {elsewhere: "running"}
    with pytest.raises(InvalidCursorError):
        ledger.jobs(cursor="?")


def test_old_jobs_are_forgotten(ledger: Ledger, log: Log) -> None:
    """With their idempotency keys; running ones stay."""
    batch = [text_document("a")]
    ledger.accept(C, batch, lease_s=0, idempotency_key="k")
    append(log, encoded("a", 1))
    (job,) = ledger.close_jobs()
    running = accept(ledger, text_document("b"))
    assert job.finished_at is not None

    assert ledger.purge_jobs(finished_before=job.finished_at) == 0
    assert ledger.purge_jobs(finished_before=job.finished_at + 1) == 1

    assert [left.id for left in ledger.jobs().items] == [running.job_id]
    assert not ledger.accept(C, batch, lease_s=0, idempotency_key="k").repeated
