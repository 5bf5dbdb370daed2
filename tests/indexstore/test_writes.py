"""Patching and deleting documents."""

import pytest

from indexstore.errors import (
    DocumentNotFoundError,
    InvalidDocumentError,
    VersionConflictError,
)
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import LiveDocument
from tests.indexstore.samples import C, accept, append, encoded, store, tail, text_document


class TestPatch:
    """Tags and weight change without encoding."""

    def test_a_patch_is_live_at_once(self, ledger: Ledger, log: Log) -> None:
        """Keys are merged, None removes one, and the log carries the result."""
        store(ledger, log, text_document("a", tags={"x": 1, "y": 2}))

        version = ledger.patch(C, "a", tags={"y": None, "z": 3}, weight=0.5)

        assert version == 2
        assert ledger.live(C, ["a"])["a"] == LiveDocument(
            2, 1, {"text": "a text"}, {"x": 1, "z": 3}, 0.5
        )
        row = tail(log)[-1]
        assert (row.op, row.seq, row.version, row.chunks) == ("patch", 2, 2, None)
        assert (row.tags, row.weight) == ({"x": 1, "z": 3}, 0.5)

    def test_a_weight_alone_leaves_the_tags(self, ledger: Ledger, log: Log) -> None:
        """And tags alone leave the weight."""
        store(ledger, log, text_document("a", tags={"x": 1}, weight=2))

        ledger.patch(C, "a", weight=3)
        ledger.patch(C, "a", tags={"y": 1})

        live = ledger.live(C, ["a"])["a"]
        assert (live.tags, live.weight, live.version) == ({"x": 1, "y": 1}, 3, 3)

    def test_only_the_last_patch_stays_in_the_log(self, ledger: Ledger, log: Log) -> None:
        """A counter in a tag does not make the log grow."""
        store(ledger, log, text_document("a"))

        for clicks in range(20):
            ledger.patch(C, "a", tags={"clicks": clicks})

        assert [(row.op, row.version) for row in tail(log)] == [("upsert", 1), ("patch", 21)]

    def test_a_patch_while_encoding_appears_with_the_content(
        self, ledger: Ledger, log: Log
    ) -> None:
        """The content is appended with the newest tags, weight and version."""
        accept(ledger, text_document("a", tags={"x": 1}))
        version = ledger.patch(C, "a", tags={"y": 2}, weight=4)

        appended = append(log, encoded("a", 1))

        assert (version, appended.indexed) == (2, 1)
        live = ledger.live(C, ["a"])["a"]
        assert live == LiveDocument(2, 1, {"text": "a text"}, {"x": 1, "y": 2}, 4)
        (row,) = tail(log)
        assert (row.version, row.tags, row.weight) == (2, {"x": 1, "y": 2}, 4)

    def test_a_patch_of_a_rewritten_document_waits_for_the_new_content(
        self, ledger: Ledger, log: Log
    ) -> None:
        """It belongs to the newest content; the old one answers unchanged until then."""
        store(ledger, log, text_document("a", "old", tags={"x": 1}))
        accept(ledger, text_document("a", "new", tags={"x": 2}))
        ledger.patch(C, "a", tags={"x": 3})

        meanwhile = ledger.live(C, ["a"])["a"]
        append(log, encoded("a", 2))

        assert (meanwhile.content, meanwhile.tags) == ({"text": "old"}, {"x": 1})
        assert ledger.live(C, ["a"])["a"].tags == {"x": 3}
        assert ledger.has_pending(C, 3) is False

    def test_if_match_guards_a_patch(self, ledger: Ledger) -> None:
        """A stale version is refused, with the one that is current."""
        accept(ledger, text_document("a"))
        ledger.patch(C, "a", tags={"x": 1}, if_match=1)

        with pytest.raises(VersionConflictError) as caught:
            ledger.patch(C, "a", tags={"x": 2}, if_match=1)

        assert (caught.value.expected, caught.value.current) == (1, 2)

    def test_an_unknown_document_cannot_be_patched(self, ledger: Ledger) -> None:
        """A patch never makes a document."""
        with pytest.raises(DocumentNotFoundError):
            ledger.patch(C, "a", weight=1)

    def test_a_bad_patch_changes_nothing(self, ledger: Ledger) -> None:
        """Neither the document nor the version."""
        accept(ledger, text_document("a", weight=2))

        with pytest.raises(InvalidDocumentError):
            ledger.patch(C, "a", tags={"x": float("nan")})
        with pytest.raises(InvalidDocumentError):
            ledger.patch(C, "a", weight=float("nan"))

        assert ledger.stamp(C)[0] == 1


class TestDelete:
    """What is deleted is gone at once and stays gone."""

    def test_a_deleted_document_is_gone(self, ledger: Ledger, log: Log) -> None:
        """From reads at once; the log says so to the readers, and keeps nothing else of it."""
        store(ledger, log, text_document("a"), text_document("b"))

        deletion = ledger.delete(C, ["a", "nothing", "a"])

        assert (deletion.deleted, deletion.token) == (("a",), 3)
        assert ledger.get(C, "a") is None
        assert set(ledger.live(C, ["a", "b"])) == {"b"}
        assert [(row.seq, row.op, row.doc_id, row.version) for row in tail(log)] == [
            (2, "upsert", "b", 2),
            (3, "delete", "a", 3),
        ]

    def test_an_earlier_delete_is_still_told_of(self, ledger: Ledger, log: Log) -> None:
        """Deleting again, beside others, must not hide it from readers that are behind."""
        store(ledger, log, text_document("a"), text_document("b"))
        ledger.delete(C, ["a"])

        ledger.delete(C, ["a", "b"])

        assert [(row.op, row.doc_id) for row in tail(log)] == [("delete", "a"), ("delete", "b")]

    def test_deleting_nothing_changes_nothing(self, ledger: Ledger) -> None:
        """The token is the newest version there is."""
        accept(ledger, text_document("a"))

        assert ledger.delete(C, []).token == 1
        assert ledger.delete(C, ["x"]).deleted == ()
        assert ledger.stamp(C) == (1, 0, 1)

    def test_a_document_deleted_while_encoded_stays_deleted(self, ledger: Ledger, log: Log) -> None:
        """What the encoder brings late is dropped."""
        accept(ledger, text_document("a"))
        ledger.delete(C, ["a"])

        appended = append(log, encoded("a", 1))

        assert (appended.indexed, appended.superseded) == (0, 1)
        assert ledger.live(C, ["a"]) == {}

    def test_a_document_made_again_has_a_higher_version(self, ledger: Ledger, log: Log) -> None:
        """So late work on its predecessor cannot be mistaken for its own."""
        store(ledger, log, text_document("a", "old"))
        ledger.delete(C, ["a"])
        acceptance = accept(ledger, text_document("a", "new"))

        late = append(log, encoded("a", 1))
        append(log, encoded("a", acceptance.token))

        assert acceptance.versions == (3,)
        assert late.superseded == 1
        assert ledger.live(C, ["a"])["a"].content == {"text": "new"}
        assert [(row.op, row.version) for row in tail(log)] == [("upsert", 3)]

    def test_if_match_guards_a_delete(self, ledger: Ledger) -> None:
        """A stale version deletes nothing."""
        accept(ledger, text_document("a"))
        ledger.patch(C, "a", weight=2)

        with pytest.raises(VersionConflictError):
            ledger.delete(C, ["a"], if_match=1)
        assert ledger.count(C) == 1

        assert ledger.delete(C, ["a"], if_match=2).deleted == ("a",)

    def test_a_long_list_is_deleted_in_parts(self, ledger: Ledger, log: Log) -> None:
        """As of a filter: any iterable, every document once, versions without a gap."""
        batch = [text_document(f"d{n:04}") for n in range(2500)]
        store(ledger, log, *batch)

        deletion = ledger.delete(C, (document.doc_id for document in batch))

        assert sorted(deletion.deleted) == [document.doc_id for document in batch]
        assert deletion.token == 5000
        assert [row.version for row in tail(log)] == list(range(2501, 5001))
        assert ledger.count(C) == 0
