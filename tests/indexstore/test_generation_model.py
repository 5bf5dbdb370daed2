"""Generations against the model: written beside what serves, swapped in, purged, in any order."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from indexstore.generations import Generations
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.model import EncodedDocument
from tests.indexstore.samples import EVERYTHING, chunks_of
from tests.indexstore.test_ledger_model import History

Shown = dict[str, tuple[int, dict[str, int]]]


class Reindexed(History):
    """A history in which a next generation is made beside the serving one, again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.generations = Generations(self.ledger.database)
        self.manifest = Manifest(self.ledger.database)
        self.purged = 0
        self.upcoming: Shown = {}
        self.upcoming_seq = 0
        self.contents_of_next: dict[str, int] = {}

    @precondition(lambda self: self.contents)
    @rule(data=st.data())
    def append_to_the_next(self, data: st.DataObject) -> None:
        """Deliver any encodings to the generation that is being made."""
        batch = data.draw(st.lists(st.sampled_from(self.contents), max_size=4))
        encoded = [EncodedDocument(*content, chunks_of()) for content in batch]
        self.log.append(self.name, encoded, generation=self.generation + 1)
        self._note_next(batch)

    def _note_next(self, batch: list[tuple[str, int]]) -> None:
        for doc_id, content_version in batch:
            known = self.known.get(doc_id)
            if known is not None and known.content_version == content_version:
                self.contents_of_next[doc_id] = content_version

    @rule()
    def complete(self) -> None:
        """Encode what the next generation lacks, as the reindexer does; then it must serve."""
        missing = self.generations.missing_documents(
            self.name, self.generation + 1, after="", limit=100
        )
        batch = [(one.document.doc_id, one.content_version) for one in missing]
        encoded = [EncodedDocument(*content, chunks_of()) for content in batch]
        self.log.append(self.name, encoded, generation=self.generation + 1)
        self._note_next(batch)
        assert self._swapped()

    @rule()
    def swap(self) -> None:
        """Let the next generation serve, if nothing is missing from it."""
        self._swapped()

    def _swapped(self) -> bool:
        is_done = self.generations.swap(self.name, self.generation + 1, job_id="none")
        if not is_done:
            return False
        self.generation += 1
        for doc_id, known in self.known.items():
            if known.state == "failed":
                known.live = None
            is_newest = self.contents_of_next.get(doc_id) == known.content_version
            if known.state == "queued" and is_newest:
                known.state, known.live = "indexed", (known.version, known.text, known.tags)
        self.reader, self.seq = self.upcoming, self.upcoming_seq
        self.upcoming, self.upcoming_seq, self.contents_of_next = {}, 0, {}
        return True

    @rule()
    def purge(self) -> None:
        """Throw away what no reader on time needs, and what old generations left."""
        while self.generations.purge_generations(self.name, limit=2):
            pass
        self.manifest.purge(self.name, grace_s=0, keep_seqs=0, delete_files=lambda _segment: None)

    @rule()
    def tail(self) -> None:
        """Let both readers catch up; those that a purge has overtaken start afresh."""
        purged = self.ledger.collection(self.name).purged_seq
        if purged > self.seq:
            self.reader, self.seq = {}, 0
        if purged > self.upcoming_seq:
            self.upcoming, self.upcoming_seq = {}, 0
        self.seq = self._read(self.reader, self.seq, self.generation)
        self.upcoming_seq = self._read(self.upcoming, self.upcoming_seq, self.generation + 1)

    def _read(self, shown: Shown, seq: int, generation: int) -> int:
        rows = self.log.tail(self.name, seq, generation=generation, slots=EVERYTHING, limit=1000)
        for row in rows:
            if row.op == "delete":
                shown.pop(row.doc_id, None)
            elif row.op == "upsert" or row.doc_id in shown:
                shown[row.doc_id] = (row.version, dict(row.tags))
        return rows[-1].seq if rows else seq


@pytest.mark.timeout(300)
def test_any_history_of_generations_ends_in_the_models_state(ledger: Ledger, log: Log) -> None:
    """Whatever is written while a generation is made, it serves the newest of everything."""
    history = type("ReindexedHere", (Reindexed,), {"ledger": ledger, "log": log})
    run_state_machine_as_test(
        history,
        settings=settings(
            max_examples=20 if ledger.database.is_sqlite else 6,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
