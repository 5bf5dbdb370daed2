"""Which weights made a generation: the first count, until nothing of them is left."""

import pytest

from indexstore.generations import Generations
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.weights import Weights
from tests.indexstore.samples import C, accept, append, encoded, text_document

KEY = ("Encoder0", "text")


@pytest.fixture
def weights(ledger: Ledger) -> Weights:
    """The weights beside the ledger."""
    return Weights(ledger.database)


@pytest.fixture
def stored(ledger: Ledger, log: Log) -> None:
    """Store a document, encoded for the first generation."""
    (version,) = accept(ledger, text_document("a")).versions
    append(log, encoded("a", version))


def test_the_first_weights_are_those_of_the_collection(weights: Weights, stored: None) -> None:
    """Others are told which ones they should be; the same ones are welcome again."""
    del stored
    assert weights.settle(C, 1, KEY, "mine") == "mine"

    assert weights.settle(C, 1, KEY, "other") == "mine"
    assert weights.settle(C, 1, KEY, "mine") == "mine"
    assert weights.of(C, 1) == {KEY: "mine"}


def test_each_stage_and_branch_has_its_own(weights: Weights, stored: None) -> None:
    """The encoder of pictures may change nothing about that of texts."""
    del stored
    weights.settle(C, 1, KEY, "mine")
    weights.settle(C, 1, ("Encoder0", "image"), "eyes")

    assert weights.of(C, 1) == {KEY: "mine", ("Encoder0", "image"): "eyes"}


def test_while_nothing_is_stored_they_may_change(weights: Weights) -> None:
    """An empty collection has no vectors that others could not be compared with."""
    weights.settle(C, 1, KEY, "mine")

    assert weights.settle(C, 1, KEY, "other") == "other"
    assert weights.of(C, 1) == {KEY: "other"}


def test_a_generation_that_is_being_made_may_have_new_ones(weights: Weights, stored: None) -> None:
    """A reindexing is how weights change; the serving generation keeps its own."""
    del stored
    weights.settle(C, 1, KEY, "mine")

    assert weights.settle(C, 2, KEY, "other") == "other"
    assert weights.settle(C, 2, KEY, "third") == "other"
    assert weights.settle(C, 1, KEY, "other") == "mine"
    assert [weights.of(C, generation) for generation in (1, 2, 3)] == [
        {KEY: "mine"}, {KEY: "other"}, {},
    ]  # fmt: skip


def test_unchanged_ones_are_entered_for_each_generation(weights: Weights, stored: None) -> None:
    """So that what was kept of an earlier encoding is used only once somebody has said so."""
    del stored
    weights.settle(C, 1, KEY, "mine")

    assert weights.settle(C, 2, KEY, "mine") == "mine"
    assert weights.of(C, 2) == {KEY: "mine"}


def test_they_are_no_artefacts(weights: Weights, ledger: Ledger) -> None:
    """What components have learnt is listed without them."""
    weights.settle(C, 1, KEY, "mine")

    generations = Generations(ledger.database)
    assert generations.artefacts(C, 1) == {}
    assert generations.generation_to_learn(C) == 1
