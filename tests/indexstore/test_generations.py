"""Generations: artefacts are inherited, and a new generation serves once nothing is missing."""

import pytest

from indexstore.generations import Generations
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.model import Artefact, Job
from indexstore.upkeep import referenced_blobs
from tests.indexstore.invariants import replayed
from tests.indexstore.samples import EVERYTHING, C, accept, append, encoded, tail, text_document


@pytest.fixture
def generations(ledger: Ledger) -> Generations:
    """The generations beside the ledger."""
    return Generations(ledger.database)


def artefact(generation: int, blob: str, stage: str = "Encoder") -> Artefact:
    """Return an artefact."""
    return Artefact(stage, "*", generation, blob, "print", 10, "job", 1.0)


def reindexing(ledger: Ledger) -> Job:
    """Open the job of a reindexing."""
    return ledger.open_job(C, kind="reindex")


def store(ledger: Ledger, log: Log, *doc_ids: str) -> dict[str, int]:
    """Accept and index documents; return their versions."""
    done = accept(ledger, *(text_document(doc_id) for doc_id in doc_ids))
    versions = dict(zip(doc_ids, done.versions, strict=True))
    append(log, *(encoded(doc_id, version) for doc_id, version in versions.items()))
    return versions


def test_a_generation_inherits_what_was_learnt(generations: Generations) -> None:
    """A generation without an artefact of its own goes on with the one before."""
    generations.keep_artefacts(C, [artefact(1, "a")])
    generations.keep_artefacts(C, [artefact(3, "b")])

    found = [generations.artefacts(C, number) for number in (0, 1, 2, 3)]

    blobs = [{key: one.blob for key, one in each.items()} for each in found]
    key = ("Encoder", "*")
    assert blobs == [{}, {key: "a"}, {key: "a"}, {key: "b"}]


def test_a_second_artefact_of_a_generation_takes_the_place(generations: Generations) -> None:
    """What was learnt again for the same generation is what counts."""
    generations.keep_artefacts(C, [artefact(1, "a")])
    generations.keep_artefacts(C, [artefact(1, "b")])

    assert [one.blob for one in generations.artefacts(C, 1).values()] == ["b"]


def test_no_swap_while_a_document_is_missing(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """The old generation serves until the new one has every document."""
    versions = store(ledger, log, "a", "b")
    job = reindexing(ledger)
    append(log, encoded("a", versions["a"]), generation=2)

    swapped = generations.swap(C, 2, job_id=job.id)

    (lacking,) = generations.missing_documents(C, 2, after="", limit=10)
    assert (swapped, ledger.collection(C).generation) == (False, 1)
    assert lacking.document.doc_id == "b"
    assert generations.still_missing(C, 2, ["a", "b"]) == {"b": versions["b"]}


def test_a_complete_generation_serves_and_its_job_ends(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """One transaction swaps and ends the job; a second swap changes nothing."""
    versions = store(ledger, log, "a", "b")
    job = reindexing(ledger)
    append(log, *(encoded(*one) for one in versions.items()), generation=2)

    swapped = [generations.swap(C, 2, job_id=job.id) for _ in range(2)]

    assert swapped == [True, False]
    assert ledger.collection(C).generation == 2
    assert ledger.job(job.id).state == "completed"
    assert set(ledger.live(C, ["a", "b"])) == {"a", "b"}


def test_a_rewrite_under_way_does_not_hold_the_swap_up(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """What the new generation has of the shown content is enough; the newer one follows."""
    versions = store(ledger, log, "a")
    append(log, encoded("a", versions["a"]), generation=2)
    (newer,) = accept(ledger, text_document("a", "new")).versions
    job = reindexing(ledger)

    assert generations.swap(C, 2, job_id=job.id)

    assert ledger.live(C, ["a"])["a"].content["text"] == "a text"
    assert append(log, encoded("a", newer), generation=2).indexed == 1
    assert ledger.live(C, ["a"])["a"].content["text"] == "new"


def test_a_rewrite_that_the_new_generation_has_is_live_at_once(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """A newest content that was encoded for the new generation needs no second encoding."""
    store(ledger, log, "a")
    (newer,) = accept(ledger, text_document("a", "new")).versions
    append(log, encoded("a", newer), generation=2)

    assert generations.swap(C, 2, job_id=reindexing(ledger).id)

    stored = ledger.get(C, "a")
    assert stored is not None
    assert (stored.state, stored.live_version) == ("indexed", newer)


def test_a_patch_of_a_rewrite_reaches_the_generation_that_has_it(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """Tags that changed while only the next generation had the new content are those it serves."""
    store(ledger, log, "a")
    (newer,) = accept(ledger, text_document("a", "new")).versions
    append(log, encoded("a", newer), generation=2)

    patched = ledger.patch(C, "a", tags={"lang": "en"})

    append(log, encoded("a", newer))
    assert generations.swap(C, 2, job_id=reindexing(ledger).id)
    for number in (1, 2):
        *_, last = tail(log, generation=number)
        assert (last.op, last.version, last.tags) == ("upsert", patched, {"lang": "en"})


def test_a_patch_makes_no_old_content_the_newest(
    ledger: Ledger, log: Log, manifest: Manifest, generations: Generations
) -> None:
    """Folding a patch into the rows leaves a content that is past behind, and to be encoded."""
    versions = store(ledger, log, "a")
    append(log, encoded("a", versions["a"]), generation=2)
    store(ledger, log, "a")
    ledger.patch(C, "a", tags={"lang": "en"})

    manifest.purge(C, grace_s=0, keep_seqs=0, delete_files=lambda _segment: None)

    assert generations.missing(C, 2) == 1
    assert not generations.swap(C, 2, job_id=reindexing(ledger).id)


def test_a_content_that_was_never_shown_and_is_past_is_encoded_again(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """Whoever swaps all the same hides it until the newest is there; no reader finds it."""
    store(ledger, log, "a")
    (second,) = accept(ledger, text_document("a", "second")).versions
    append(log, encoded("a", second), generation=2)
    (third,) = accept(ledger, text_document("a", "third")).versions
    to_encode = generations.missing_documents(C, 2, after="", limit=9)

    assert generations.swap(C, 2, job_id=reindexing(ledger).id)

    assert [one.content_version for one in to_encode] == [third]
    assert ledger.live(C, ["a"]) == {}
    assert replayed(tail(log, generation=2)) == {}
    assert append(log, encoded("a", third), generation=2).indexed == 1
    assert replayed(tail(log, generation=2)) == {"a": third}


def test_what_cannot_be_encoded_anew_is_told(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """A document that is given up fails with the swap, and the job is partial."""
    versions = store(ledger, log, "a", "b")
    append(log, encoded("a", versions["a"]), generation=2)
    job = reindexing(ledger)

    assert generations.swap(C, 2, job_id=job.id, without={"b": "no chunks"})

    stored = ledger.get(C, "b")
    assert stored is not None
    assert (stored.state, stored.live_version, stored.error) == ("failed", None, "no chunks")
    assert ledger.job(job.id).state == "partial"


def test_late_results_of_an_old_generation_change_nothing(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """A batch that was encoded for a generation that serves no more is dropped."""
    (version,) = accept(ledger, text_document("a")).versions
    assert generations.swap(C, 2, job_id=reindexing(ledger).id)

    done = append(log, encoded("a", version), generation=1)

    stored = ledger.get(C, "a")
    assert stored is not None
    assert (done.outdated, done.indexed, stored.state) == (1, 0, "queued")


def test_old_generations_are_purged_and_the_serving_one_stays(
    ledger: Ledger, log: Log, generations: Generations
) -> None:
    """Nothing of a generation that serves no more is left."""
    versions = store(ledger, log, "a", "b")
    append(log, *(encoded(*one) for one in versions.items()), generation=2)
    generations.swap(C, 2, job_id=reindexing(ledger).id)

    assert generations.purge_generations(C, limit=1) == 1
    assert generations.purge_generations(C) == 1
    assert generations.purge_generations(C) == 0

    tails = [len(log.tail(C, 0, generation=number, slots=EVERYTHING, limit=9)) for number in (1, 2)]
    assert tails == [0, 2]


def test_a_reindexing_makes_the_generation_of_the_newest_artefacts(
    generations: Generations,
) -> None:
    """Every training has a generation of its own, so that numbers may be skipped."""
    before = generations.next_generation(C), generations.generation_to_learn(C)
    generations.keep_artefacts(C, [artefact(4, "a")])
    after = generations.next_generation(C), generations.generation_to_learn(C)

    assert (before, after) == ((2, 1), (4, 5))


def test_blobs_of_artefacts_and_of_open_trainings_are_kept(
    ledger: Ledger, generations: Generations
) -> None:
    """House-keeping spares what was learnt, and what a training has still to read."""
    generations.keep_artefacts(C, [artefact(1, "learnt")])
    ended = ledger.open_job(C, kind="train", payload="read")
    ledger.finish_job(ended.id, "completed")
    ledger.open_job(C, kind="train", payload="unread")

    assert referenced_blobs(ledger) == {"learnt", "unread"}
