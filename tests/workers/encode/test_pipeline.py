"""Encoders one after another and beside each other; training goes down the chain."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from workers.component import Chunk, Encoder, Floats, State, Trainable
from workers.encode.hashing import HashingEncoder
from workers.encode.pca import PCALocal
from workers.encode.pipeline import AverageEncoder, ConcatEncoder, EncoderPipeline
from workers.encode.pq import PQ
from workers.encode.scaling import Normalizer
from workers.encode.transform import TrainedTransform
from workers.errors import ContentError, NotTrainedError, OptionError
from workers.reduce_ops.embeddings import averaged, concatenated
from workers.registry import create
from workers.testing import EncoderContract, TrainableContract, vectors


class Plus(TrainedTransform):
    """Adds a number it learns: what it was told plus nothing."""

    dim = 1

    def __init__(self, *, number: float = 1.0, factor: float = 1.0) -> None:
        self.number, self.factor = number, factor
        self.seen: list[float] = []

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Remember what it learnt from."""
        self.seen = rows[:, 0].tolist()
        self.is_trained = True

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return factor * (x + number)."""
        return np.asarray((np.asarray(rows, np.float32) + self.number) * self.factor, np.float32)

    def state(self) -> State:
        """Return what it saw."""
        return {"seen": np.array(self.seen)} if self.is_trained else {}

    def load_state(self, state: State) -> None:
        """Take it over."""
        self.seen, self.is_trained = state["seen"].tolist(), True


def values(encoder: Encoder, *numbers: float) -> list[float]:
    """Encode numbers as vectors of one dimension."""
    rows = encoder.encode(vectors([[number] for number in numbers]))
    return [float(row[0]) for row in rows]


def text_chain() -> EncoderPipeline:
    """A chain as in GNES's example: text encoder, PCALocal, PQ."""
    parts: Sequence[Encoder] = (
        HashingEncoder(dim=64),
        PCALocal(dim=8, num_locals=4),
        PQ(num_bytes=4, clusters=8),
    )
    return EncoderPipeline(components=parts)


TRAINING = [Chunk(place, text=f"word{place} word{place % 7} common") for place in range(80)]


class TestEncoderPipelineLearns(TrainableContract):
    """A chain that learns keeps the contract of learning."""

    @pytest.fixture
    def untrained(self) -> Encoder:
        """A chain that has learnt nothing."""
        return text_chain()

    @pytest.fixture
    def another(self) -> Encoder:
        """Another of the same options."""
        return text_chain()

    @pytest.fixture
    def training(self) -> list[Chunk]:
        """Texts to learn from."""
        return TRAINING


class TestEncoderPipeline(EncoderContract):
    """A trained chain keeps the contract of encoders."""

    is_unit = False

    @pytest.fixture
    def encoder(self) -> Encoder:
        """A trained chain."""
        chain = text_chain()
        chain.train(TRAINING)
        return chain


def test_each_component_learns_from_the_ones_before() -> None:
    """Three times +1: trained in order, 1 becomes 4 (14.7)."""
    parts = [Plus(), Plus(), Plus()]
    chain = EncoderPipeline(components=parts)

    chain.train(vectors([[1.0]]))

    assert [part.seen for part in parts] == [[1.0], [2.0], [3.0]]
    assert values(chain, 1.0) == [4.0]


def test_what_was_trained_elsewhere_stays() -> None:
    """Of four the first came trained: it is not trained again, 1 becomes 5 (14.7)."""
    first = Plus()
    first.learn(np.array([[7.0]], np.float32))
    chain = EncoderPipeline(components=[first, Plus(), Plus(), Plus()])

    chain.train(vectors([[1.0]]))

    assert first.seen == [7.0]
    assert values(chain, 1.0) == [5.0]


def test_pca_then_pq_in_order() -> None:
    """+3, then times 2: 1 becomes 8, 2 becomes 10; the same when loaded (14.7)."""

    def made() -> EncoderPipeline:
        parts = [Plus(number=3), Plus(number=0, factor=2)]
        return EncoderPipeline(components=parts)

    chain, loaded = made(), made()
    chain.train(vectors([[1.0], [2.0]]))
    loaded.load_state(chain.state())

    assert values(chain, 1, 2) == values(loaded, 1, 2) == [8.0, 10.0]


def test_a_chain_must_be_trained_first() -> None:
    """Encoding before training is refused (14.7)."""
    with pytest.raises(NotTrainedError):
        EncoderPipeline(components=[Plus()]).encode(vectors([[1.0]]))


def test_a_chain_without_parts_is_refused() -> None:
    """An empty list of components is an error of the flow."""
    with pytest.raises(OptionError, match="at least one component"):
        create("PipelineEncoder", {"components": []}, kind=Encoder)


def test_a_chain_reads_what_its_first_reads_and_gives_what_its_last_gives() -> None:
    """Inputs, dimension and type follow from the parts."""
    chain = text_chain()

    assert (chain.inputs, chain.dim, chain.dtype) == (("text",), 4, "uint8")
    assert not EncoderPipeline(components=[PQ(num_bytes=2)]).is_trained
    assert EncoderPipeline(components=[Normalizer()]).is_trained


def test_parallel_encoders_are_joined_or_averaged() -> None:
    """Two encoders of the same chunks give one vector: beside each other, or their mean."""
    chunks = [Chunk(text="red rose"), Chunk(text="car")]
    one, two = HashingEncoder(dim=16), HashingEncoder(dim=16)
    joined = ConcatEncoder(components=[one, HashingEncoder(dim=8)])

    assert joined.dim == 24
    assert joined.encode(chunks).shape == (2, 24)
    average = AverageEncoder(components=[one, two])
    np.testing.assert_allclose(average.encode(chunks), one.encode(chunks))
    assert average.dim == 16


def test_embeddings_of_parts_are_joined_and_averaged() -> None:
    """[5, 2] three times gives [5, 6], mean [5, 2]; vectors alone work too (14.4, mended)."""
    parts = [np.full((5, 2), number, np.float32) for number in (1, 2, 3)]

    assert concatenated(parts).shape == (5, 6)
    assert averaged(parts).tolist() == [[2.0, 2.0]] * 5
    assert concatenated([np.array([[1, 2]]), np.array([[3, 4]])]).tolist() == [[1, 2, 3, 4]]
    assert concatenated([np.array([1, 2]), np.array([3, 4])]).tolist() == [1, 2, 3, 4]
    assert averaged([np.array([1, 2]), np.array([3, 4])]).tolist() == [2.0, 3.0]
    with pytest.raises(ContentError):
        concatenated([np.zeros((2, 2)), np.zeros((3, 2))])
    with pytest.raises(ContentError):
        averaged([np.zeros((2, 2)), np.zeros((2, 3))])


def test_every_learner_says_it_is_one() -> None:
    """A chain is trainable whatever stands in it, so the train verb needs no special case."""
    assert isinstance(text_chain(), Trainable)
