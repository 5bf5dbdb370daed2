"""Conformance suites: what every component of a kind must do.

A plug-in's author subclasses one and gives the fixture it asks for, set up and ready::

    class TestMyEncoder(EncoderContract):
        @pytest.fixture
        def encoder(self) -> Encoder:
            return ready(MyEncoder(dim=8))
"""
# ruff: noqa: S101, PLR2004, RUF001  (suites assert, with plain numbers, on all scripts)

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar, TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from compose.wire import codec
from workers.component import (
    Chunk,
    ChunkHits,
    Component,
    Cursor,
    Encoder,
    Preprocessor,
    Reducer,
    Reranker,
    ScoreFunction,
    Source,
    Streaming,
    Trainable,
)
from workers.errors import ContentError, NotTrainedError

T = TypeVar("T", bound=Component)
_PAUSES = 3

#: Texts that break what was only tried on English: scripts, emoji, controls, a lone surrogate.
STRANGE_TEXTS = (
    "a",
    "red rose",
    "矫矫珍木巅，得无金丸惧。",
    "مرحبا بالعالم",
    "👩‍👩‍👧‍👦 family",
    "e\u0301 combining",
    "\x00\x01 controls",
    "\ud800 lone surrogate",
    "word " * 2000,
    "x" * 5000,
    "nul\u200bwidth",
)


def ready(component: T) -> T:
    """Return the component after its set-up."""
    component.setup()
    return component


def vectors(rows: Sequence[Sequence[float]] | NDArray[np.floating]) -> list[Chunk]:
    """Return chunks that hold these vectors, for encoders of embeddings."""
    return [Chunk(position, array=row) for position, row in enumerate(np.asarray(rows, np.float32))]


class EncoderContract:
    """What every encoder must do; give ``encoder``, and ``samples`` when it is not of text."""

    is_unit: ClassVar[bool] = True
    """Whether rows must have length 1."""
    tolerance: ClassVar[float] = 1e-5
    """How far a row may differ when it is encoded beside others (order of float additions)."""

    @pytest.fixture
    def samples(self) -> list[Chunk]:
        """Some chunks that the encoder can read."""
        return [Chunk(position, text=text) for position, text in enumerate(STRANGE_TEXTS)]

    def test_gives_one_row_a_chunk(self, encoder: Encoder, samples: list[Chunk]) -> None:
        """Every chunk gets one row of the declared length and type, all finite."""
        rows = encoder.encode(samples)

        assert rows.shape == (len(samples), encoder.dim)
        assert rows.dtype == np.dtype(encoder.dtype)
        assert np.isfinite(rows).all()

    def test_rows_have_length_one(self, encoder: Encoder, samples: list[Chunk]) -> None:
        """Rows have length 1, where the encoder says so, even for texts without a known word."""
        if not self.is_unit:
            pytest.skip("this encoder's rows are no directions")
        rows = encoder.encode(samples)

        assert np.linalg.norm(rows, axis=1) == pytest.approx(1.0, abs=1e-5)

    def test_no_chunks_give_no_rows(self, encoder: Encoder) -> None:
        """An empty batch is answered by an empty matrix, not by an error."""
        assert encoder.encode([]).shape == (0, encoder.dim)

    def test_a_row_does_not_depend_on_its_batch(
        self, encoder: Encoder, samples: list[Chunk]
    ) -> None:
        """A chunk gets the same row alone as beside others, in any order."""
        together = encoder.encode(samples)

        alone = np.concatenate([encoder.encode([chunk]) for chunk in samples])
        backwards = encoder.encode(samples[::-1])[::-1]

        np.testing.assert_allclose(alone, together, atol=self.tolerance)
        np.testing.assert_allclose(backwards, together, atol=self.tolerance)

    def test_threads_may_share_it(self, encoder: Encoder, samples: list[Chunk]) -> None:
        """Several threads get the same rows at the same time."""
        expected = encoder.encode(samples)

        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(encoder.encode, [samples] * 4))

        for rows in answers:
            np.testing.assert_allclose(rows, expected, atol=self.tolerance)

    def test_what_it_cannot_read_is_a_content_error(self, encoder: Encoder) -> None:
        """A chunk without what the encoder reads fails as content, not as a crash."""
        with pytest.raises(ContentError):
            encoder.encode([Chunk()])

    def test_its_fingerprint_is_stable(self, encoder: Encoder) -> None:
        """The fingerprint says the same twice, in few characters."""
        assert encoder.fingerprint() == encoder.fingerprint()
        assert 8 <= len(encoder.fingerprint()) <= 64


class TrainableContract:
    """What every encoder that learns must do, beside EncoderContract.

    Give the fixtures ``untrained`` and ``another`` (two of equal options, set up), and
    ``training`` (chunks to learn from).
    """

    def test_encoding_before_training_is_refused(
        self, untrained: Encoder, training: list[Chunk]
    ) -> None:
        """Used before it was trained, it says so."""
        with pytest.raises(NotTrainedError, match="gnes train"):
            untrained.encode(training[:2])

    def test_its_state_moves_to_another_process(
        self, untrained: Encoder, another: Encoder, training: list[Chunk]
    ) -> None:
        """What was learnt travels as plain arrays and gives the same rows there."""
        assert isinstance(untrained, Trainable)
        assert isinstance(another, Trainable)
        untrained.train(training)

        state = {name: np.array(array) for name, array in untrained.state().items()}
        another.load_state(state)

        assert all(array.dtype != object for array in state.values())
        assert another.is_trained
        assert another.dim == untrained.dim
        np.testing.assert_array_equal(another.encode(training), untrained.encode(training))
        assert another.fingerprint() == untrained.fingerprint()

    def test_training_twice_learns_anew(self, untrained: Encoder, training: list[Chunk]) -> None:
        """Trained again on the same, it is the same again: nothing of before is left."""
        assert isinstance(untrained, Trainable)
        untrained.train(training)
        first = untrained.encode(training)

        untrained.train(training)

        np.testing.assert_allclose(untrained.encode(training), first, atol=1e-5)

    def test_training_changes_the_fingerprint(
        self, untrained: Encoder, training: list[Chunk]
    ) -> None:
        """Trained and untrained are told apart, so that stored vectors are not mixed."""
        assert isinstance(untrained, Trainable)
        before = untrained.fingerprint()

        untrained.train(training)

        assert untrained.fingerprint() != before


class PreprocessorContract:
    """What every preprocessor must do; give ``preprocessor``, and ``sources`` when not of text."""

    @pytest.fixture
    def sources(self) -> list[Source]:
        """Some sources that it can cut."""
        return [Source("text", text=text) for text in STRANGE_TEXTS]

    def test_chunks_are_numbered_and_weighed(
        self, preprocessor: Preprocessor, sources: list[Source]
    ) -> None:
        """Every source gives chunks at 0, 1, ..., each of a weight in (0, 1]."""
        for source in sources:
            chunks = preprocessor.apply(source)

            assert [chunk.position for chunk in chunks] == list(range(len(chunks)))
            assert chunks
            assert all(0 < chunk.weight <= 1 for chunk in chunks)

    def test_chunks_hold_something_to_encode(
        self, preprocessor: Preprocessor, sources: list[Source]
    ) -> None:
        """A chunk holds a text or an array."""
        for source in sources:
            for chunk in preprocessor.apply(source):
                assert chunk.text or chunk.array is not None

    def test_nothing_to_cut_is_a_content_error(self, preprocessor: Preprocessor) -> None:
        """A document without content fails alone, with a reason."""
        modality = preprocessor.inputs[0] if preprocessor.inputs else "text"
        assert modality != "embedding"
        with pytest.raises(ContentError):
            preprocessor.apply(Source(modality))

    def test_it_gives_the_same_twice(
        self, preprocessor: Preprocessor, sources: list[Source]
    ) -> None:
        """A retry makes the same chunks."""
        for source in sources:
            first, second = preprocessor.apply(source), preprocessor.apply(source)

            assert [(c.span, c.text, c.weight) for c in first] == [
                (c.span, c.text, c.weight) for c in second
            ]


class StreamingContract:
    """What every streaming preprocessor must do, beside PreprocessorContract.

    Give the fixtures ``streaming`` and ``sources``.
    """

    def test_it_goes_on_after_any_pause(self, streaming: Streaming, sources: list[Source]) -> None:
        """Stopped in every third pause and begun anew from its cursor, it makes the same chunks."""
        for source in sources:
            whole = streaming.apply(source)

            chunks, cursor = self._in_turns(streaming, source)

            parts = streaming.settled(chunks, cursor)
            assert len(parts) == len(whole)
            for part, one in zip(parts, whole, strict=True):
                assert part.span == pytest.approx(one.span)
                assert part.weight == pytest.approx(one.weight)
                np.testing.assert_array_equal(part.array, one.array)

    def test_it_pauses(self, streaming: Streaming, sources: list[Source]) -> None:
        """Nobody has to wait for long: there is a pause for every few chunks."""
        for source in sources:
            steps = list(streaming.stream(source, {}))

            assert steps.count(None) >= (len(steps) - steps.count(None)) / 4

    @staticmethod
    def _in_turns(streaming: Streaming, source: Source) -> tuple[list[Chunk], Cursor]:
        chunks: list[Chunk] = []
        cursor: Cursor = {}
        is_over = False
        while not is_over:
            cursor = codec.loads(codec.dumps(cursor))  # as it travels
            stream, pauses = streaming.stream(source, cursor), 0
            is_over = True
            for step in stream:
                if step is not None:
                    chunks.append(step)
                elif (pauses := pauses + 1) == _PAUSES:
                    is_over = False
                    break
            stream.close()
        return chunks, cursor


class ScoreFunctionContract:
    """What every score function must do; give the fixtures ``function`` and ``hits``."""

    def test_scores_every_hit(self, function: ScoreFunction, hits: ChunkHits) -> None:
        """Every hit gets one finite float64."""
        scores = function.score(hits)

        assert scores.shape == hits.values.shape
        assert scores.dtype == np.float64
        assert np.isfinite(scores).all()

    def test_its_explanation_ends_in_the_score(
        self, function: ScoreFunction, hits: ChunkHits
    ) -> None:
        """The root of a hit's explanation is its score."""
        scores = function.score(hits)

        for row, score in enumerate(scores):
            tree = function.explain(hits, row)
            assert tree.value == pytest.approx(score, abs=1e-6)
            assert tree.name
            assert tree.doc


class ReducerContract:
    """What every reducer must do; give the fixture ``reducer``."""

    def test_gives_one_value_a_group(self, reducer: Reducer) -> None:
        """Every group gets one finite float64, also one that no value belongs to."""
        values, groups = np.array([0.5, 0.25, -1.0, 0.5]), np.array([0, 2, 0, 2])

        reduced = reducer.reduce(values, groups, 4)

        assert (reduced.shape, reduced.dtype.name) == ((4,), "float64")
        assert np.isfinite(reduced).all()

    def test_groups_do_not_mix(self, reducer: Reducer) -> None:
        """A group alone has the value that it has beside others, whatever their order."""
        random = np.random.default_rng(8)
        values, groups = random.random(60), random.integers(0, 7, 60)

        together = reducer.reduce(values, groups, 7)
        shuffled = random.permutation(60)
        again = reducer.reduce(values[shuffled], groups[shuffled], 7)

        np.testing.assert_allclose(again, together, atol=1e-9)
        for group in range(7):
            mine = values[groups == group]
            alone = reducer.reduce(mine, np.zeros(len(mine), np.int64), 1)
            np.testing.assert_allclose(alone, together[group : group + 1], atol=1e-9)

    def test_no_values_are_no_error(self, reducer: Reducer) -> None:
        """An answer without hits is reduced to nothing."""
        assert reducer.reduce(np.zeros(0), np.zeros(0, np.int64), 0).shape == (0,)

    def test_it_is_explained_by_its_name_and_summary(self, reducer: Reducer) -> None:
        """A reader of an explanation sees what the reducer is called and what it does."""
        assert type(reducer).names()[0]
        assert (type(reducer).__doc__ or "").strip()


class RerankerContract:
    """What every reranker must do; give the fixture ``reranker``, set up."""

    query: ClassVar[str] = "how do I prune a rose"
    tolerance: ClassVar[float] = 1e-5

    def test_scores_every_text(self, reranker: Reranker) -> None:
        """Every text gets one finite float32, in the order given; strange ones too."""
        scores = reranker.rerank(self.query, STRANGE_TEXTS)

        assert (scores.shape, scores.dtype.name) == ((len(STRANGE_TEXTS),), "float32")
        assert np.isfinite(scores).all()

    def test_a_score_does_not_depend_on_the_other_texts(self, reranker: Reranker) -> None:
        """A text is scored alike alone and beside others, first or last."""
        together = reranker.rerank(self.query, STRANGE_TEXTS)

        alone = np.concatenate([reranker.rerank(self.query, [text]) for text in STRANGE_TEXTS])
        backwards = reranker.rerank(self.query, STRANGE_TEXTS[::-1])[::-1]

        np.testing.assert_allclose(alone, together, atol=self.tolerance)
        np.testing.assert_allclose(backwards, together, atol=self.tolerance)

    def test_no_texts_give_no_scores(self, reranker: Reranker) -> None:
        """A query that found nothing is reranked to nothing."""
        assert reranker.rerank(self.query, []).shape == (0,)
