"""Accepting documents: from here on nothing may lose them."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexstore.errors import (
    IdempotencyConflictError,
    InvalidDocumentError,
)
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import Acceptance, Document
from tests.indexstore.samples import C, accept, statements, store, text_document

ODD_IDS = ["ä", "機械学習", "a b/c?d=e#f", "' OR 1=1 --", '"', "\\", "\n", "🦆", "x" * 512]


class TestAccept:
    """What is accepted has a version and is kept."""

    def test_versions_count_up(self, ledger: Ledger) -> None:
        """Each document gets the collection's next version; the token is the last."""
        first = accept(ledger, text_document("a"), text_document("b"))
        second = accept(ledger, text_document("c"))

        assert (first.versions, first.token) == ((1, 2), 2)
        assert (second.versions, second.token) == ((3,), 3)
        assert ledger.stamp(C) == (3, 0, 1)

    def test_a_document_comes_back_as_it_was(self, ledger: Ledger) -> None:
        """Content, tags, weight and vector; queued, not yet searchable."""
        given = Document(
            "a",
            "image",
            {"image": {"blob": "sha256:00"}},
            tags={"year": 2019, "lang": ["en", None]},
            weight=0.5,
            vector=np.array([1, 2], np.float32),
        )

        acceptance = accept(ledger, given)
        stored = ledger.get(C, "a")

        assert stored is not None
        assert stored.document == given
        assert stored.document.vector is not None
        assert stored.document.vector.tolist() == [1, 2]
        assert (stored.version, stored.state, stored.live_version) == (1, "queued", None)
        assert stored.job_id == acceptance.job_id

    @pytest.mark.parametrize("doc_id", ODD_IDS)
    def test_ids_are_any_text(self, ledger: Ledger, log: Log, doc_id: str) -> None:
        """Whatever the user's ids look like, the document is stored, found and deleted by it."""
        store(ledger, log, text_document(doc_id))

        assert set(ledger.live(C, [doc_id, "other"])) == {doc_id}
        assert ledger.delete(C, [doc_id]).deleted == (doc_id,)
        assert ledger.get(C, doc_id) is None

    @pytest.mark.parametrize("doc_id", ["", "x" * 513, "a\x00b", "\ud800"])
    def test_ids_that_no_database_keeps_are_refused(self, ledger: Ledger, doc_id: str) -> None:
        """And nothing of the batch is stored."""
        with pytest.raises(InvalidDocumentError, match="its id"):
            accept(ledger, text_document("good"), text_document(doc_id))

        assert ledger.count(C) == 0

    @pytest.mark.parametrize("value", [object(), 2**70, {1: {2}}])
    def test_contents_must_be_plain(self, ledger: Ledger, value: object) -> None:
        """What cannot be written down is refused, with the document's id."""
        with pytest.raises(InvalidDocumentError, match="document 'a' cannot be stored"):
            accept(ledger, Document("a", "image", {"image": value}))

    @pytest.mark.parametrize("weight", [float("nan"), float("inf"), 10**400])
    def test_weights_must_be_finite(self, ledger: Ledger, weight: float) -> None:
        """A score cannot be multiplied with anything else."""
        with pytest.raises(InvalidDocumentError, match="its weight"):
            accept(ledger, text_document("a", weight=weight))

    @pytest.mark.parametrize("text", ["", "\x00", "half a pair \udc80", "x" * 100_000])
    def test_contents_are_any_text(self, ledger: Ledger, text: str) -> None:
        """Also what PostgreSQL's own text type would refuse."""
        accept(ledger, text_document("a", text, tags={"note": text}))

        stored = ledger.get(C, "a")

        assert stored is not None
        assert stored.document.content == {"text": text}
        assert stored.document.tags == {"note": text}

    def test_the_later_of_two_in_one_batch_wins(self, ledger: Ledger) -> None:
        """Both get a version; the job counts the earlier as superseded."""
        acceptance = accept(ledger, text_document("a", "old"), text_document("a", "new"))
        stored = ledger.get(C, "a")

        assert acceptance.versions == (1, 2)
        assert stored is not None
        assert (stored.version, stored.document.content) == (2, {"text": "new"})
        assert ledger.job(acceptance.job_id).counts == {"queued": 1, "superseded": 1}

    def test_no_documents_are_a_job_that_is_done(self, ledger: Ledger) -> None:
        """An empty batch is accepted, and changes no version."""
        acceptance = accept(ledger)

        assert (acceptance.versions, acceptance.token) == ((), 0)
        assert [job.state for job in ledger.close_jobs()] == ["completed"]

    def test_an_idempotency_key_answers_as_before(self, ledger: Ledger) -> None:
        """The same request again stores nothing and gets the same receipt, marked as repeated."""
        batch = [text_document("a", tags={"x": 1}), text_document("b")]
        first = ledger.accept(C, batch, lease_s=0, idempotency_key="k")
        accept(ledger, text_document("c"))

        again = ledger.accept(C, batch, lease_s=0, idempotency_key="k")

        assert (again.job_id, again.token, again.versions) == (first.job_id, 2, (1, 2))
        assert (first.repeated, again.repeated) == (False, True)
        assert ledger.stamp(C)[0] == 3

    @pytest.mark.parametrize(
        "other",
        [
            [text_document("a", "other")],
            [text_document("b")],
            [text_document("a", tags={"x": 1})],
            [text_document("a", weight=2)],
            [text_document("a", vector=np.ones(2, np.float32))],
            [text_document("a"), text_document("b")],
            [],
        ],
    )
    def test_a_key_with_other_documents_is_refused(
        self, ledger: Ledger, other: list[Document]
    ) -> None:
        """Whatever differs, and nothing is stored."""
        ledger.accept(C, [text_document("a")], lease_s=0, idempotency_key="k")

        with pytest.raises(IdempotencyConflictError):
            ledger.accept(C, other, lease_s=0, idempotency_key="k")

        assert ledger.stamp(C)[0] == 1

    def test_one_key_from_many_threads_is_accepted_once(self, ledger: Ledger) -> None:
        """A client that repeats itself before the answer came gets the same receipt."""
        batch = [text_document("a"), text_document("b")]

        def send(_number: int) -> Acceptance:
            return ledger.accept(C, batch, lease_s=0, idempotency_key="k")

        with ThreadPoolExecutor(4) as threads:
            receipts = list(threads.map(send, range(4)))

        assert len({receipt.job_id for receipt in receipts}) == 1
        assert sorted(receipt.repeated for receipt in receipts) == [False, True, True, True]
        assert ledger.stamp(C)[0] == 2

    def test_every_batch_of_a_job_is_repeated_by_its_own_key(self, ledger: Ledger) -> None:
        """A long upload that is sent again, whole or from where it broke off, is done once."""
        batches = [[text_document(f"d{n}") for n in range(at, at + 3)] for at in (0, 3, 6)]

        def upload(count: int) -> list[Acceptance]:
            done: list[Acceptance] = []
            for place, batch in enumerate(batches[:count]):
                job_id = done[0].job_id if done else None
                done.append(
                    ledger.accept(C, batch, lease_s=0, job_id=job_id, idempotency_key=f"k/{place}")
                )
            return done

        first, second, third = upload(2), upload(3), upload(3)

        assert [one.repeated for one in (*first, *second)] == [False, False, True, True, False]
        assert [one.repeated for one in third] == [True] * 3
        assert {one.job_id for one in (*first, *second, *third)} == {first[0].job_id}
        assert second[1].versions == first[1].versions
        assert ledger.stamp(C)[0] == 9
        (job,) = ledger.jobs(C).items
        assert (job.id, job.total) == (first[0].job_id, 9)

    def test_keys_of_other_collections_are_others(self, ledger: Ledger) -> None:
        """A key is looked for in its own collection only."""
        ledger.ensure_collection("other", fingerprint="f", shards=1)
        ledger.accept(C, [text_document("a")], lease_s=0, idempotency_key="k")

        assert not ledger.accept(
            "other", [text_document("b")], lease_s=0, idempotency_key="k"
        ).repeated

    def test_a_thousand_documents_are_a_handful_of_statements(self, ledger: Ledger) -> None:
        """So that accepting is never what an ingest waits for."""
        batch = [text_document(f"d{n}", f"text {n} " * 20, tags={"n": n}) for n in range(1000)]

        with statements(ledger.database) as run:
            ledger.accept(C, batch, lease_s=0)

        assert len(run) <= 5
