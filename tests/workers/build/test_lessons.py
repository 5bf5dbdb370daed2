"""Training documents go the flow's own way, and what was learnt is loaded by its generation."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compose.load import load_flow
from compose.planning import plan_of
from indexstore.generations import Generations
from indexstore.ledger import Ledger
from indexstore.media import MediaStore
from indexstore.migrations import migrate
from indexstore.model import Artefact
from workers.build.lessons import learn
from workers.component import Chunk, State, Trainable, state_digest
from workers.encode.pca import PCA
from workers.errors import NotTrainedError, TrainingError
from workers.learned import Learned, packed, unpacked
from workers.runtime import Runtime

CHAIN = """
name: chain
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - name: Encoder
    uses:
      - {uses: Hashing, with: {dim: 64}}
      - {uses: PCA, with: {dim: 8}}
  - {name: Indexer, uses: exact}
"""
STEPS = """
name: steps
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 64}}
  - {name: Encoder, uses: PCA, with: {dim: 16}}
  - {name: Encoder, uses: PQ, with: {num_bytes: 4, clusters: 8}}
  - {name: Indexer, uses: binary}
"""
PLAIN = CHAIN.replace("      - {uses: PCA, with: {dim: 8}}\n", "")


def state_of(flow: str, folder: Path) -> Runtime:
    """Return the runtime of a build worker of a flow."""
    database = f"sqlite:///{folder}/gnes.db"
    settings: dict[str, Any] = {"database_url": database, "blob_url": f"file://{folder}/blobs"}
    return Runtime({"settings": settings, "plan": plan_of(load_flow(flow)).to_dict()}, ("build",))


def documents(count: int) -> list[dict[str, Any]]:
    """Return training documents as a job's blob holds them."""
    words = [
        "rose",
        "soil",
        "prune",
        "compost",
        "tulip",
        "hedge",
        "seed",
        "mulch",
        "shovel",
        "blossom",
        "flour",
        "oven",
    ]
    random = np.random.default_rng(2)
    return [
        {
            "modality": "text",
            "content": {"text": f"the {' '.join(random.choice(words, 4))} of number {number}."},
            "tags": {},
        }
        for number in range(count)
    ]


def test_an_encoder_in_a_chain_learns_from_those_before_it(tmp_path: Path) -> None:
    """One lesson for the one step that learns, on all documents."""
    (lesson,) = learn(state_of(CHAIN, tmp_path), documents(40), 1)

    assert (lesson.stage, lesson.branch, lesson.documents) == ("Encoder0", "text", 40)
    assert lesson.component.is_trained


def test_steps_one_after_another_learn_from_each_other(tmp_path: Path) -> None:
    """PCA learns from hashes, PQ from what PCA makes of them."""
    lessons = learn(state_of(STEPS, tmp_path), documents(60), 1)

    assert [lesson.stage for lesson in lessons] == ["Encoder1", "Encoder2"]
    codes = lessons[1].component
    assert codes.state()["centroids"].shape == (4, 8, 4)


def test_too_few_documents_are_told_with_the_number(tmp_path: Path) -> None:
    """The component says how many it needs."""
    with pytest.raises(TrainingError, match="3 rows are fewer than its 8 dimensions"):
        learn(state_of(CHAIN, tmp_path), documents(3), 1)


def test_a_flow_in_which_nothing_learns_is_refused(tmp_path: Path) -> None:
    """There is nothing to train."""
    with pytest.raises(TrainingError, match="no component of the flow"):
        learn(state_of(PLAIN, tmp_path), documents(3), 1)


def test_learnt_arrays_survive_as_npz() -> None:
    """Arrays come back as they went, and objects are refused instead of run."""
    state: State = {"mean": np.arange(3, dtype=np.float32), "1.codes": np.eye(2, dtype=np.uint8)}

    again = unpacked(packed(state))

    assert state_digest(again) == state_digest(state)
    with pytest.raises(ValueError, match="pickle"):
        packed({"bad": np.array([object()])})


def learnt(seed: int) -> PCA:
    """Return a trained component."""
    made = PCA(dim=2)
    rows = np.random.default_rng(seed).normal(size=(20, 6)).astype(np.float32)
    made.train([Chunk(place, array=row) for place, row in enumerate(rows)])
    return made


def test_a_generation_is_encoded_with_what_it_learnt(tmp_path: Path) -> None:
    """None before training; then each generation its own, the next one the last one's."""
    url = f"sqlite:///{tmp_path}/gnes.db"
    migrate(url)
    Ledger.open(url).ensure_collection("c", fingerprint="f", shards=1)
    generations, media = Generations.open(url), MediaStore(f"file://{tmp_path}/blobs")
    shelf = Learned(generations, "c", media)

    def loaded(generation: int) -> Trainable | None:
        return shelf.component(("Encoder0", "text"), generation, lambda: PCA(dim=2))

    before = loaded(1)
    pupils = {number: learnt(number) for number in (1, 3)}
    for number, pupil in pupils.items():
        blob = media.put(packed(pupil.state())).name
        digest = state_digest(pupil.state())
        artefact = Artefact("Encoder0", "text", number, blob, digest, 20, "job", 1.0)
        generations.keep_artefacts("c", [artefact])
    found = [loaded(number) for number in (1, 2, 3)]

    assert before is None
    digests = [state_digest(one.state()) for one in found if one is not None]
    expected = [state_digest(pupils[number].state()) for number in (1, 1, 3)]
    assert digests == expected
    assert found[0] is found[1]
    assert len({shelf.lineage(number) for number in (1, 2, 3)}) == 2


def test_the_bare_component_says_what_it_lacks(tmp_path: Path) -> None:
    """Before any training the component itself refuses to encode, with the cure."""
    state = state_of(CHAIN, tmp_path)
    migrate(state.settings["database_url"])
    state.ledger.ensure_collection("chain", fingerprint="f", shards=1)
    (stage,) = state.plan.stages_of("encode")

    encoder = state.component(stage, "text", 1)

    with pytest.raises(NotTrainedError, match="gnes train"):
        encoder.encode([Chunk(text="a rose")])
