"""Ledger and log against a model of a few lines: random histories, one truth."""

from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from indexstore.errors import DocumentNotFoundError, VersionConflictError
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import Document, EncodedDocument, new_id
from tests.indexstore.samples import EVERYTHING, chunks_of

IDS = st.sampled_from(["a", "b", "c", "d"])
TAGS = st.dictionaries(st.sampled_from("xyz"), st.integers(0, 3), max_size=2)
PATCHES = st.dictionaries(st.sampled_from("xyz"), st.none() | st.integers(0, 3), max_size=2)


@dataclass
class Known:
    """What the model knows of a document."""

    version: int
    content_version: int
    text: str
    tags: dict[str, int]
    state: str = "queued"
    live: tuple[int, str, dict[str, int]] | None = field(default=None)


class History(RuleBasedStateMachine):
    """Random writes in random order; stale and doubled work among them."""

    ledger: Ledger
    log: Log

    def __init__(self) -> None:
        super().__init__()
        self.name = f"c{new_id()}"
        self.ledger.ensure_collection(self.name, fingerprint="f", shards=1)
        self.known: dict[str, Known] = {}
        self.contents: list[tuple[str, int]] = []  # all that were ever sent to an encoder
        self.versions = 0
        self.seq = 0
        self.generation = 1
        self.reader: dict[str, tuple[int, dict[str, int]]] = {}

    @rule(ids=st.lists(IDS, max_size=4), tags=TAGS)
    def accept(self, ids: list[str], tags: dict[str, int]) -> None:
        """Accept documents, the same id perhaps twice."""
        texts = [f"{doc_id}{self.versions + n}" for n, doc_id in enumerate(ids)]
        documents = [
            Document(i, "text", {"text": text}, tags) for i, text in zip(ids, texts, strict=True)
        ]
        acceptance = self.ledger.accept(self.name, documents, lease_s=60)
        assert acceptance.versions == tuple(range(self.versions + 1, self.versions + len(ids) + 1))
        self.versions += len(ids)
        for doc_id, text, version in zip(ids, texts, acceptance.versions, strict=True):
            old = self.known.get(doc_id)
            live = old.live if old else None
            self.known[doc_id] = Known(version, version, text, tags, live=live)
            self.contents.append((doc_id, version))

    @rule(doc_id=IDS, patch=PATCHES, stale=st.booleans())
    def patch(self, doc_id: str, patch: dict[str, int | None], stale: bool) -> None:
        """Patch a document, sometimes with a stale version, sometimes one that is not there."""
        old = self.known.get(doc_id)
        if old is None:
            with pytest.raises(DocumentNotFoundError):
                self.ledger.patch(self.name, doc_id, tags=patch)
            return
        if stale:
            with pytest.raises(VersionConflictError):
                self.ledger.patch(self.name, doc_id, tags=patch, if_match=old.version - 1)
            return
        self.versions += 1
        assert self.ledger.patch(self.name, doc_id, tags=patch) == self.versions
        merged = {**old.tags, **patch}
        old.tags = {key: value for key, value in merged.items() if value is not None}
        old.version = self.versions
        if old.state == "indexed":
            old.live = (old.version, old.text, old.tags)

    @rule(ids=st.lists(IDS, max_size=3))
    def delete(self, ids: list[str]) -> None:
        """Delete what may or may not be there."""
        gone = {doc_id for doc_id in ids if doc_id in self.known}
        deletion = self.ledger.delete(self.name, ids)
        self.versions += len(gone)
        assert set(deletion.deleted) == gone
        assert deletion.token == self.versions
        for doc_id in gone:
            del self.known[doc_id]

    @precondition(lambda self: self.contents)
    @rule(data=st.data(), fails=st.booleans())
    def append(self, data: st.DataObject, fails: bool) -> None:
        """Deliver any encodings, old and new, again and again, or say that they failed."""
        batch = data.draw(st.lists(st.sampled_from(self.contents), max_size=4))
        chunks, error = (None, "broken") if fails else (chunks_of(), None)
        self.log.append(
            self.name,
            [EncodedDocument(*content, chunks, error) for content in batch],
            generation=self.generation,
        )
        for doc_id, content_version in batch:
            old = self.known.get(doc_id)
            if old is None or old.content_version != content_version or old.state == "indexed":
                continue
            old.state = "failed" if fails else "indexed"
            if not fails:
                old.live = (old.version, old.text, old.tags)

    @rule()
    def tail(self) -> None:
        """Let a reader catch up."""
        rows = self.log.tail(self.name, self.seq, generation=1, slots=EVERYTHING, limit=1000)
        for row in rows:
            assert row.seq > self.seq
            self.seq = row.seq
            if row.op == "delete":
                self.reader.pop(row.doc_id, None)
            else:
                self.reader[row.doc_id] = (row.version, dict(row.tags))

    @invariant()
    def the_ledger_knows_what_the_model_knows(self) -> None:
        """Newest versions, states, and what searches may show."""
        stored = {i: self.ledger.get(self.name, i) for i in "abcd"}
        assert {i for i, document in stored.items() if document} == set(self.known)
        live = self.ledger.live(self.name, list("abcd"))
        assert {
            i: (shown.version, shown.content["text"], shown.tags) for i, shown in live.items()
        } == {i: known.live for i, known in self.known.items() if known.live}
        for doc_id, known in self.known.items():
            document = stored[doc_id]
            assert document is not None
            assert (document.version, document.state) == (known.version, known.state)
            assert document.document.tags == known.tags
        assert self.ledger.stamp(self.name)[0] == self.versions

    @invariant()
    def a_reader_that_caught_up_knows_it_too(self) -> None:
        """The log alone, applied in order, ends with the same live versions and tags."""
        self.tail()
        live = {i: (k.live[0], k.live[2]) for i, k in self.known.items() if k.live}
        assert self.reader == live


def test_any_history_ends_in_the_models_state(ledger: Ledger, log: Log) -> None:
    """Accept, patch, delete and append in any order, on either database."""
    history = type("HistoryHere", (History,), {"ledger": ledger, "log": log})
    run_state_machine_as_test(
        history,
        settings=settings(
            max_examples=25 if ledger.database.is_sqlite else 8,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
