"""The log: appended once, in commit order, and only what is still wanted."""

import numpy as np
import pytest

from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import ChunkTable, EncodedDocument, slot_of, slot_range
from tests.indexstore.samples import (
    EVERYTHING,
    C,
    accept,
    append,
    chunks_of,
    encoded,
    statements,
    store,
    tail,
    text_document,
)


def test_what_was_appended_can_be_read(ledger: Ledger, log: Log) -> None:
    """With the chunks as they were, the document's tags and weight, and its slot."""
    accept(ledger, text_document("a", tags={"x": 1}, weight=0.5))

    appended = append(log, encoded("a", 1, 7.0))
    (row,) = tail(log)

    assert (appended.last_seq, appended.indexed) == (1, 1)
    assert (row.seq, row.op, row.doc_id, row.version) == (1, "upsert", "a", 1)
    assert (row.slot, row.tags, row.weight) == (slot_of("a"), {"x": 1}, 0.5)
    assert row.chunks is not None
    assert np.array_equal(row.chunks.embeddings[""], chunks_of(7.0).embeddings[""])


def test_a_batch_that_comes_twice_changes_nothing(ledger: Ledger, log: Log) -> None:
    """The second delivery is counted as repeated, the log stays as it is."""
    accept(ledger, text_document("a"), text_document("b"))
    batch = [encoded("a", 1), encoded("b", 2)]
    append(log, *batch)
    before = [(row.seq, row.version) for row in tail(log)]

    again = append(log, *batch)

    assert (again.indexed, again.repeated, again.last_seq) == (0, 2, 2)
    assert [(row.seq, row.version) for row in tail(log)] == before


def test_an_old_content_never_overwrites_a_new_one(ledger: Ledger, log: Log) -> None:
    """Out of order: the newest is appended, what comes after it for older contents is dropped."""
    for text in ("one", "two", "three"):
        accept(ledger, text_document("a", text))

    append(log, encoded("a", 3, 3.0))
    late = [append(log, encoded("a", version)) for version in (1, 2)]

    assert [result.superseded for result in late] == [1, 1]
    (row,) = tail(log)
    assert row.chunks is not None
    assert (row.version, row.chunks.embeddings[""][0, 0]) == (3, 3.0)


def test_of_two_contents_in_one_batch_the_newer_counts(ledger: Ledger, log: Log) -> None:
    """Whichever comes first."""
    accept(ledger, text_document("a", "one"))
    accept(ledger, text_document("a", "two"))

    appended = append(log, encoded("a", 2), encoded("a", 1))

    assert (appended.indexed, appended.superseded) == (1, 1)


def test_a_newer_row_replaces_the_older(ledger: Ledger, log: Log) -> None:
    """The log holds one row a document; a reader in between sees the newer one."""
    store(ledger, log, text_document("a", "one"), text_document("b"))
    ledger.patch(C, "a", tags={"x": 1})
    store(ledger, log, text_document("a", "two"))

    assert [(row.seq, row.doc_id, row.op) for row in tail(log)] == [
        (2, "b", "upsert"),
        (4, "a", "upsert"),
    ]


def test_errors_are_recorded_beside_what_succeeded(ledger: Ledger, log: Log) -> None:
    """One document that cannot be encoded does not cost its batch."""
    accept(ledger, text_document("good"), text_document("bad"))

    appended = append(log, encoded("good", 1), EncodedDocument("bad", 2, None, "no text\x00 in it"))

    stored = ledger.get(C, "bad")
    assert (appended.indexed, appended.failed) == (1, 1)
    assert stored is not None
    assert (stored.state, stored.error) == ("failed", "no text\N{REPLACEMENT CHARACTER} in it")


def test_a_late_success_mends_a_failure(ledger: Ledger, log: Log) -> None:
    """The same content delivered by another worker counts, whatever was said before."""
    accept(ledger, text_document("a"))
    append(log, EncodedDocument("a", 1, None, "out of memory"))

    append(log, encoded("a", 1))

    stored = ledger.get(C, "a")
    assert stored is not None
    assert (stored.state, stored.error, stored.live_version) == ("indexed", None, 1)


def test_a_late_failure_breaks_nothing(ledger: Ledger, log: Log) -> None:
    """What is indexed stays indexed."""
    store(ledger, log, text_document("a"))

    late = append(log, EncodedDocument("a", 1, None, "time-out"))

    assert (late.failed, late.repeated) == (0, 1)
    assert ledger.counts_by_state(C)["indexed"] == 1


def test_a_document_without_chunks_is_indexed(ledger: Ledger, log: Log) -> None:
    """An empty text has nothing to find it by, and replaces what it had."""
    store(ledger, log, text_document("a"))
    accept(ledger, text_document("a", ""))

    append(log, EncodedDocument("a", 2, chunks_of(n=0)))

    (row,) = tail(log)
    assert row.chunks is not None
    assert (len(row.chunks), row.version) == (0, 2)


def test_a_batch_is_a_handful_of_statements(ledger: Ledger, log: Log) -> None:
    """In one transaction, however many documents it has."""
    batch = [text_document(f"d{n}") for n in range(64)]
    acceptance = accept(ledger, *batch)
    pairs = zip(batch, acceptance.versions, strict=True)
    documents = [encoded(document.doc_id, version) for document, version in pairs]

    with statements(ledger.database) as run:
        append(log, *documents)

    assert len(run) <= 7


def test_appending_nothing_is_nothing(ledger: Ledger, log: Log) -> None:
    """An empty batch reads the counters only."""
    store(ledger, log, text_document("a"))

    assert append(log).last_seq == 1


def test_a_tail_is_cut_by_slots_limit_and_end(ledger: Ledger, log: Log) -> None:
    """A reader sees its shard's rows after what it has, no more than it asked for."""
    store(ledger, log, *(text_document(f"d{n}") for n in range(50)))
    shards = [
        log.tail(C, 10, generation=1, slots=slot_range(shard, 3), limit=100) for shard in range(3)
    ]

    assert sorted(row.seq for rows in shards for row in rows) == list(range(11, 51))
    assert all(row.slot in slot_range(shard, 3) for shard in range(3) for row in shards[shard])
    few = log.tail(C, 10, generation=1, slots=EVERYTHING, limit=5, until=13)
    assert [row.seq for row in few] == [11, 12, 13]
    assert len(log.tail(C, 0, generation=1, slots=EVERYTHING, limit=5)) == 5


def test_amendments_are_the_deletes_and_patches(ledger: Ledger, log: Log) -> None:
    """What masks the rows of older segments is read without a single embedding."""
    store(ledger, log, *(text_document(name) for name in "abc"))
    ledger.patch(C, "a", weight=2)
    ledger.delete(C, ["b"])

    rows = log.amendments(C, 0, generation=1, slots=EVERYTHING, limit=10)

    assert [(row.op, row.doc_id, row.seq) for row in rows] == [
        ("patch", "a", 4),
        ("delete", "b", 5),
    ]


class TestGenerations:
    """A new encoder's rows are written beside the old one's."""

    def test_each_generation_sees_its_own_rows(self, ledger: Ledger, log: Log) -> None:
        """Upserts of one generation are invisible to the other."""
        store(ledger, log, text_document("a"))

        append(log, encoded("a", 1, 9.0), generation=2)

        assert [row.seq for row in tail(log, generation=1)] == [1]
        assert [row.seq for row in tail(log, generation=2)] == [2]

    def test_a_second_generation_changes_no_document(self, ledger: Ledger, log: Log) -> None:
        """What is live is decided by the collection's own generation."""
        accept(ledger, text_document("a"))

        append(log, encoded("a", 1), generation=2)
        append(log, EncodedDocument("a", 1, None, "cannot"), generation=3)

        stored = ledger.get(C, "a")
        assert stored is not None
        assert stored.state == "queued"

    def test_a_batch_that_comes_twice_changes_nothing_there_either(
        self, ledger: Ledger, log: Log
    ) -> None:
        """Also beside the live generation."""
        store(ledger, log, text_document("a"))
        append(log, encoded("a", 1), generation=2)

        again = append(log, encoded("a", 1), generation=2)

        assert (again.indexed, again.repeated) == (0, 1)

    def test_deletes_and_patches_concern_all(self, ledger: Ledger, log: Log) -> None:
        """A patch that one generation has taken over stays for the other."""
        store(ledger, log, text_document("a"), text_document("b"))
        append(log, encoded("b", 2), generation=2)
        ledger.patch(C, "a", tags={"x": 1})
        ledger.delete(C, ["b"])
        append(log, encoded("a", 1), generation=2)

        old = [(row.op, row.doc_id) for row in tail(log, generation=1)]
        new = [(row.op, row.doc_id) for row in tail(log, generation=2)]

        assert old == [("upsert", "a"), ("patch", "a"), ("delete", "b")]
        assert new == [("patch", "a"), ("delete", "b"), ("upsert", "a")]


@pytest.mark.parametrize("texts", [None, ("first", "half \ud800 pair")])
def test_chunk_texts_travel_with_the_chunks(
    ledger: Ledger, log: Log, texts: tuple[str, ...] | None
) -> None:
    """A full-text index finds its texts in the log; others find none."""
    accept(ledger, text_document("a"))
    c = chunks_of()
    table = ChunkTable(c.positions, c.weights, c.spans, texts, c.embeddings)

    append(log, EncodedDocument("a", 1, table))

    (row,) = tail(log)
    assert row.chunks is not None
    assert row.chunks.texts == texts
