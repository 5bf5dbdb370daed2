"""Reading documents: what searches may show, counts and listings."""

from collections.abc import Callable

import pytest

from indexstore.errors import (
    IndexStoreError,
    InvalidCursorError,
)
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import LiveDocument
from tests.indexstore.samples import C, accept, append, encoded, statements, store, text_document


def answer_of(ask: Callable[[], object]) -> object:
    """Return the answer, and None when the question is refused as a bad or a vain one."""
    try:
        return ask()
    except IndexStoreError as error:
        return None if error.status in {400, 404} else error


def test_some_documents_come_in_the_order_asked(ledger: Ledger) -> None:
    """Those that there are, whatever their state."""
    accept(ledger, text_document("a", "one"), text_document("b", "two"))

    found = ledger.some(C, ["b", "nobody", "a"])

    assert [stored.document.doc_id for stored in found] == ["b", "a"]
    assert found[0] == ledger.get(C, "b")


class TestVisibility:
    """What searches may show."""

    def test_a_document_is_live_when_it_is_indexed(self, ledger: Ledger, log: Log) -> None:
        """Not before."""
        accept(ledger, text_document("a", "hello", tags={"x": 1}, weight=2))
        before = ledger.live(C, ["a"])
        append(log, encoded("a", 1))

        assert before == {}
        assert ledger.live(C, ["a"]) == {"a": LiveDocument(1, 1, {"text": "hello"}, {"x": 1}, 2)}

    def test_the_old_content_answers_until_the_new_is_ready(self, ledger: Ledger, log: Log) -> None:
        """A re-written document does not vanish from the answers while it is encoded."""
        store(ledger, log, text_document("a", "old", tags={"v": 1}, weight=1))
        accept(ledger, text_document("a", "newer", tags={"v": 2}, weight=2))
        accept(ledger, text_document("a", "newest", tags={"v": 3}, weight=3))

        meanwhile = ledger.live(C, ["a"])["a"]
        append(log, encoded("a", 3))

        assert meanwhile == LiveDocument(1, 1, {"text": "old"}, {"v": 1}, 1)
        assert ledger.live(C, ["a"])["a"] == LiveDocument(3, 3, {"text": "newest"}, {"v": 3}, 3)

    def test_a_new_content_that_fails_leaves_the_old_one(self, ledger: Ledger, log: Log) -> None:
        """Its state says failed; searches go on showing what was indexed last."""
        store(ledger, log, text_document("a", "old"))
        accept(ledger, text_document("a", "broken"))
        ledger.record_failures(C, [("a", 2, "no text")])

        stored = ledger.get(C, "a")

        assert ledger.live(C, ["a"])["a"].content == {"text": "old"}
        assert stored is not None
        assert (stored.state, stored.error, stored.live_version) == ("failed", "no text", 1)

    def test_what_is_pending_is_known_by_version(self, ledger: Ledger, log: Log) -> None:
        """A search with a token waits until nothing up to it is pending."""
        accept(ledger, text_document("a"))
        accept(ledger, text_document("b"))
        append(log, encoded("a", 1))

        assert [ledger.has_pending(C, version) for version in (0, 1, 2)] == [False, False, True]
        append(log, encoded("b", 2))
        assert not ledger.has_pending(C, 2)

    def test_who_wrote_first_waits_for_the_later_write(self, ledger: Ledger) -> None:
        """Re-writing a pending document does not make the first writer's token come true."""
        accept(ledger, text_document("a", "mine"))
        accept(ledger, text_document("a", "theirs"))

        assert ledger.has_pending(C, 1)

    def test_a_failed_document_is_waited_for_no_longer(self, ledger: Ledger) -> None:
        """It will not become searchable by itself."""
        accept(ledger, text_document("a"))
        ledger.record_failures(C, [("a", 1, "broken")])

        assert not ledger.has_pending(C, 1)

    def test_many_documents_are_read_at_once(self, ledger: Ledger, log: Log) -> None:
        """Reduce reads the candidates of every query: 640 of them are one statement."""
        batch = [text_document(f"d{n}", "a text " * 20, tags={"n": n}) for n in range(640)]
        store(ledger, log, *batch)

        with statements(ledger.database) as run:
            found = ledger.live(C, [document.doc_id for document in batch])

        assert (len(found), len(run)) == (640, 1)


class TestHostileText:
    """Ids and names come from URLs, which can say anything."""

    @pytest.mark.parametrize("name", ["a\x00b", "\ud800", "\udfff tail", "", "x" * 10_000])
    def test_what_cannot_be_stored_is_not_there(self, ledger: Ledger, name: str) -> None:
        """Asked for in whatever way: nothing is found, or a 4xx error says why not."""
        accept(ledger, text_document("a"))
        for ask in (
            lambda: ledger.get(C, name) or ledger.get(name, "a"),
            lambda: ledger.live(C, [name]) or ledger.live(name, ["a"]),
            lambda: ledger.delete(C, [name]).deleted,
            lambda: ledger.scroll(C, limit=1, job_id=name).items,
            lambda: ledger.jobs(name).items,
            lambda: ledger.has_pending(name, 1) or ledger.count(name),
            lambda: ledger.patch(C, name, weight=1),
            lambda: ledger.collection(name),
            lambda: ledger.stamp(name),
            lambda: ledger.job(name),
        ):
            assert not answer_of(ask)
        assert ledger.count(C) == 1


class TestInspection:
    """Counting and listing."""

    def test_counts_tell_the_states_apart(self, ledger: Ledger, log: Log) -> None:
        """Every state is there, also with none in it."""
        store(ledger, log, text_document("a"), text_document("b"))
        accept(ledger, text_document("c"), text_document("d"), text_document("e"))
        ledger.record_failures(C, [("c", 3, "broken")])

        assert ledger.counts_by_state(C) == {"queued": 2, "indexed": 2, "failed": 1, "dead": 0}
        assert ledger.count(C) == 5

    def test_scrolling_meets_every_document_once(self, ledger: Ledger) -> None:
        """Page by page, in the order of ids, also when documents come and go meanwhile."""
        accept(ledger, *(text_document(f"d{n:02}") for n in range(25)))
        seen, cursor = [], None

        while True:
            page = ledger.scroll(C, limit=10, cursor=cursor)
            seen += [stored.document.doc_id for stored in page.items]
            ledger.delete(C, seen[-1:])
            cursor = page.cursor
            if cursor is None:
                break

        assert seen == [f"d{n:02}" for n in range(25)]

    def test_a_full_last_page_has_no_cursor(self, ledger: Ledger) -> None:
        """Nobody is sent for an empty page."""
        accept(ledger, text_document("a"), text_document("b"))

        assert ledger.scroll(C, limit=2).cursor is None
        assert ledger.scroll(C, limit=1).cursor is not None

    def test_scrolling_can_ask_for_states_and_jobs(self, ledger: Ledger, log: Log) -> None:
        """The documents of a job in some state are what its page shows."""
        store(ledger, log, text_document("a"))
        acceptance = accept(ledger, text_document("b"), text_document("c"))
        ledger.record_failures(C, [("b", 2, "broken")])

        failed = ledger.scroll(C, limit=9, states=["failed"]).items
        of_job = ledger.scroll(C, limit=9, job_id=acceptance.job_id).items

        assert [stored.document.doc_id for stored in failed] == ["b"]
        assert [stored.document.doc_id for stored in of_job] == ["b", "c"]

    @pytest.mark.parametrize("cursor", ["x", "ä", "a===", "_w", "AA"])
    def test_a_made_up_cursor_is_refused(self, ledger: Ledger, cursor: str) -> None:
        """It is not taken for a place to begin."""
        with pytest.raises(InvalidCursorError):
            ledger.scroll(C, limit=1, cursor=cursor)

    def test_the_stamp_is_cheap(self, ledger: Ledger) -> None:
        """One statement by a primary key: asked before all that might be answered from memory."""
        with statements(ledger.database) as run:
            ledger.stamp(C)

        assert len(run) == 1
