"""Document leases: what is still to be encoded, and who sees to it."""

from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import PendingDocument
from tests.indexstore.samples import C, accept, encode_all, store, text_document


def ids_of(pending: list[PendingDocument]) -> list[str]:
    """Return the ids of what was leased."""
    return [document.document.doc_id for document in pending]


def lease(ledger: Ledger, now: float, *, limit: int = 10) -> list[str]:
    """Lease for ten seconds."""
    return ids_of(ledger.lease(C, limit=limit, lease_s=10, now=now))


def test_queued_documents_are_leased_once(ledger: Ledger) -> None:
    """The oldest first, and to nobody else while the lease runs."""
    accept(ledger, *(text_document(name) for name in "abc"), lease_s=0)

    first = ledger.lease(C, limit=2, lease_s=10, now=100)

    assert ids_of(first) == ["a", "b"]
    assert [(p.content_version, p.attempts) for p in first] == [(1, 1), (2, 1)]
    assert lease(ledger, 105) == ["c"]
    assert lease(ledger, 109) == []


def test_a_lease_that_ran_out_is_given_to_another(ledger: Ledger) -> None:
    """What a dead worker had is taken over before anything new, with one more attempt."""
    accept(ledger, text_document("a"), lease_s=0)
    lease(ledger, 100)
    accept(ledger, text_document("b"), lease_s=0)

    again = ledger.lease(C, limit=10, lease_s=10, now=110)

    assert ids_of(again) == ["a", "b"]
    assert [p.attempts for p in again] == [2, 1]


def test_who_publishes_at_once_has_the_lease(ledger: Ledger) -> None:
    """A batch accepted with a lease is the dispatcher's only after that."""
    acceptance = accept(ledger, text_document("a"), lease_s=10)
    stored = ledger.get(C, "a")
    assert stored is not None

    soon = lease(ledger, stored.accepted_at + 9)
    later = ledger.lease(C, limit=10, lease_s=10, now=stored.accepted_at + 11)

    assert soon == []
    assert ids_of(later) == ["a"]
    assert (later[0].attempts, later[0].job_id) == (2, acceptance.job_id)


def test_what_is_indexed_is_leased_no_more(ledger: Ledger, log: Log) -> None:
    """Nor what failed or was deleted."""
    accept(ledger, *(text_document(name) for name in "abc"), lease_s=0)
    pending = ledger.lease(C, limit=10, lease_s=10, now=100)
    encode_all(log, pending[:1])
    ledger.record_failures(C, [("b", 2, "broken")])
    ledger.delete(C, ["c"])

    assert lease(ledger, 200) == []
    assert ledger.outstanding(C, now=100) == 0


def test_a_new_content_is_leased_anew(ledger: Ledger, log: Log) -> None:
    """Re-writing a document that is being encoded starts its attempts again."""
    accept(ledger, text_document("a", "old"), lease_s=0)
    old = ledger.lease(C, limit=10, lease_s=10, now=100)
    accept(ledger, text_document("a", "new"), lease_s=0)

    new = ledger.lease(C, limit=10, lease_s=10, now=101)

    assert [(p.content_version, p.attempts) for p in new] == [(2, 1)]
    assert encode_all(log, old).superseded == 1
    assert encode_all(log, new).indexed == 1


def test_outstanding_counts_what_is_published(ledger: Ledger) -> None:
    """So that a dispatcher can keep its window bounded."""
    accept(ledger, *(text_document(f"d{n}") for n in range(9)), lease_s=0)

    before = ledger.outstanding(C, now=100)
    lease(ledger, 100, limit=4)

    assert (before, ledger.outstanding(C, now=105), ledger.outstanding(C, now=111)) == (0, 4, 0)


def test_after_a_wiped_broker_everything_is_published_again(ledger: Ledger) -> None:
    """At once, in the old order, and nobody's attempts are used up by it."""
    accept(ledger, *(text_document(name) for name in "abc"), lease_s=0)
    lease(ledger, 100)

    released = ledger.release_leases(C)
    again = ledger.lease(C, limit=10, lease_s=10, now=101)

    assert released == 3
    assert [(p.document.doc_id, p.attempts) for p in again] == [("a", 1), ("b", 1), ("c", 1)]


def test_what_is_under_way_is_told_by_the_end_of_its_lease(ledger: Ledger) -> None:
    """The oldest first; what nobody has, or has had for too long, is not under way."""
    accept(ledger, text_document("a"), text_document("b"), text_document("c"), lease_s=0)
    ledger.lease(C, limit=1, lease_s=10, now=100)
    ledger.lease(C, limit=1, lease_s=10, now=105)

    found = [ledger.under_way(C, until=end, limit=9, now=106) for end in (109, 110, 120)]

    assert found == [{}, {"a": 1}, {"a": 1, "b": 2}]
    assert ledger.under_way(C, until=120, limit=9, now=112) == {"b": 2}


def test_a_lease_can_be_prolonged(ledger: Ledger) -> None:
    """By who knows that the work goes on."""
    accept(ledger, text_document("a"), text_document("b"), lease_s=0)
    lease(ledger, 100)

    prolonged = ledger.extend_leases(C, ["a", "x"], lease_s=10, now=108)

    assert prolonged == 1
    assert lease(ledger, 112) == ["b"]


def test_work_that_is_handed_back_is_taken_up_at_once(ledger: Ledger) -> None:
    """As an attempt, before all others; or as if it had never been handed out."""
    accept(ledger, *(text_document(name) for name in "abcd"), lease_s=0)
    lease(ledger, 100, limit=3)

    handed_back = ledger.hand_back(C, ["c"], counts=True), ledger.hand_back(C, ["b"], counts=False)
    again = ledger.lease(C, limit=10, lease_s=10, now=101)

    assert handed_back == (1, 1)
    assert [(p.document.doc_id, p.attempts) for p in again] == [("c", 2), ("b", 1), ("d", 1)]
    assert ledger.hand_back(C, ["x"], counts=True) == 0


def test_only_leases_that_ran_out_by_themselves_are_overdue(ledger: Ledger) -> None:
    """What somebody handed back is known to be lost, not late."""
    accept(ledger, text_document("a"), lease_s=0)
    never = ledger.has_overdue(C, now=100)
    lease(ledger, 100)

    running, late = ledger.has_overdue(C, now=109), ledger.has_overdue(C, now=110)
    ledger.hand_back(C, ["a"], counts=True)

    assert (never, running, late) == (False, False, True)
    assert not ledger.has_overdue(C, now=110)


def test_failures_are_of_a_content(ledger: Ledger, log: Log) -> None:
    """A re-written, deleted or indexed document is not failed by news of its past."""
    store(ledger, log, text_document("indexed"))
    accept(ledger, text_document("rewritten"))
    accept(ledger, text_document("rewritten", "new"))

    failed = ledger.record_failures(
        C, [("indexed", 1, "late"), ("rewritten", 2, "late"), ("gone", 9, "late")]
    )

    assert failed == 0
    assert ledger.counts_by_state(C)["failed"] == 0


def test_what_was_tried_too_often_is_dead(ledger: Ledger) -> None:
    """It is tried no more, says so, and is found among the dead letters."""
    accept(ledger, text_document("poison"), text_document("fine"), lease_s=0)
    for moment in (100, 200, 300):
        lease(ledger, moment)
    ledger.record_failures(C, [("fine", 2, "broken")])

    early = ledger.bury(C, max_attempts=3, now=305)
    buried = ledger.bury(C, max_attempts=3, now=310)

    stored = ledger.get(C, "poison")
    assert (early, buried) == ([], ["poison"])
    assert stored is not None
    assert (stored.state, stored.error) == (
        "dead", "given up after 3 attempts, each of which ended without an answer",
    )  # fmt: skip
    assert lease(ledger, 400) == []
    letters = ledger.scroll(C, limit=9, states=["failed", "dead"]).items
    assert [letter.document.doc_id for letter in letters] == ["fine", "poison"]


def test_dead_letters_can_be_tried_again(ledger: Ledger, log: Log) -> None:
    """All or some; they begin with no attempts, and their job is open again."""
    acceptance = accept(ledger, *(text_document(name) for name in "abc"), lease_s=0)
    ledger.record_failures(C, [(name, n, "broken") for n, name in enumerate("abc", 1)])
    ledger.close_jobs()

    some = ledger.retry(C, ["b", "x"])
    job = ledger.job(acceptance.job_id)
    others = ledger.retry(C)

    assert (some, sorted(others)) == (["b"], ["a", "c"])
    assert (job.state, job.pending, job.finished_at) == ("running", 1, None)
    again = ledger.lease(C, limit=10, lease_s=10)
    assert [p.attempts for p in again] == [1, 1, 1]
    encode_all(log, again)
    assert [closed.state for closed in ledger.close_jobs()] == ["completed"]


def test_a_fetched_medium_replaces_its_address(ledger: Ledger) -> None:
    """The same content, brought into the store; one that was re-written meanwhile stays."""
    accept(ledger, text_document("a"), lease_s=0)
    brought = {"image": {"url": "http://example.com/a.png", "blob": "sha256:00"}}

    early = ledger.settle_content(C, "a", 1, brought)
    late = ledger.settle_content(C, "a", 99, {"text": "of another version"})

    stored = ledger.get(C, "a")
    assert stored is not None
    assert (early, late) == (True, False)
    assert stored.document.content == brought
    assert stored.content_version == 1
