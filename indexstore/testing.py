"""The conformance suite of engines: what every one must do.

A plug-in's author subclasses it and names the engine and its file::

    class TestMyEngine(EngineContract):
        name = "MyEngine"
        py_path = ("my_engine.py",)
"""
# ruff: noqa: S101, PLR2004  (suites assert, with plain numbers)

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from indexstore.engines import Engine, create
from indexstore.engines.base import RowMask
from indexstore.errors import DimensionError, EngineError, InvalidVectorError
from indexstore.model import Float32, IndexConfig, Metric
from indexstore.scoring import relevance
from indexstore.vectors import checked_rows

DIM = 16
ROWS = 1000


class EngineContract:
    """What every engine must do; one that loses bits says how much it still finds by ``recall``."""

    name: ClassVar[str]
    py_path: ClassVar[tuple[str, ...]] = ()
    options: ClassVar[Mapping[str, Any]] = {}
    metrics: ClassVar[tuple[Metric, ...]] = ("cosine",)
    recall: ClassVar[float] = 0.95  # of the exact ten best, at least

    @pytest.fixture
    def metric(self) -> Metric:
        """The metric under test; each suite is run once a metric of its engine."""
        return self.metrics[0]

    @pytest.fixture
    def config(self, metric: Metric) -> IndexConfig:
        """The engine's configuration."""
        return IndexConfig(
            "v", engine=self.name, options=self.options, metric=metric, py_path=self.py_path
        )

    @pytest.fixture
    def rows(self, config: IndexConfig) -> Float32:
        """Rows in clusters, as embeddings lie."""
        rng = np.random.default_rng(1)
        centres = 2 * rng.standard_normal((40, DIM))
        rows = centres[rng.integers(0, 40, ROWS)] + rng.standard_normal((ROWS, DIM))
        return checked_rows(rows, dim=DIM, metric=config.metric)

    @pytest.fixture
    def engine(self, config: IndexConfig, rows: Float32, tmp_path: Path) -> Engine:
        """An engine with the rows built in."""
        built = create(config, dim=DIM)
        built.build(rows, tmp_path / "engine.bin")
        opened = create(config, dim=DIM)
        opened.open(tmp_path / "engine.bin")
        return opened

    def test_what_was_built_in_is_found(
        self, engine: Engine, rows: Float32, config: IndexConfig
    ) -> None:
        """Of the ten best rows of a query nearly all are found, best first."""
        scores, found = engine.search(rows[:50], 10)

        best = np.argsort(-relevance(config.metric, rows[:50], rows), axis=1, kind="stable")[:, :10]
        exact = np.take_along_axis(relevance(config.metric, rows[:50], rows), best, axis=1)
        mine = np.take_along_axis(relevance(config.metric, rows[:50], rows), found, axis=1)
        as_good = (mine >= exact[:, -1:] - 1e-4).mean()
        assert engine.count == ROWS
        assert (scores.dtype.name, found.dtype.name) == ("float32", "int64")
        assert as_good >= self.recall

    def test_scores_fall_from_left_to_right(self, engine: Engine, rows: Float32) -> None:
        """The first hit is the best."""
        scores, _ = engine.search(rows[:20], 15)

        assert (np.diff(scores, axis=1) <= 1e-6).all()

    def test_no_row_comes_twice(self, engine: Engine, rows: Float32) -> None:
        """Every row is returned once at most."""
        _, found = engine.search(rows[:20], 50)

        assert all(len(set(row.tolist())) == 50 for row in found)

    def test_what_is_not_allowed_is_not_found(self, engine: Engine, rows: Float32) -> None:
        """Only allowed rows come back, at every share of them."""
        rng = np.random.default_rng(2)
        for share in (0.001, 0.01, 0.3, 0.99):
            allowed = rng.random(ROWS) < share

            _, found = engine.search(rows[:10], 10, RowMask.of(allowed))

            assert allowed[found[found >= 0]].all()

    def test_nothing_allowed_finds_nothing(self, engine: Engine, rows: Float32) -> None:
        """An empty permission is answered by no hit, not by an error."""
        scores, found = engine.search(rows[:2], 3, RowMask.of(np.zeros(ROWS, np.bool_)))

        assert (found == -1).all()
        assert np.isneginf(scores).all()

    def test_a_limit_over_the_count_gives_the_count(
        self, config: IndexConfig, rows: Float32, tmp_path: Path
    ) -> None:
        """Asking for more than there is gives what there is, padded at most."""
        engine = create(config, dim=DIM)
        engine.build(rows[:300], tmp_path / "small.bin")
        engine.open(tmp_path / "small.bin")

        _, found = engine.search(rows[:3], 1000)

        assert found.shape == (3, 300)

    def test_opening_again_gives_the_same_answers(
        self, engine: Engine, config: IndexConfig, rows: Float32, tmp_path: Path
    ) -> None:
        """Two openings of one file are replicas of each other."""
        other = create(config, dim=DIM)
        other.open(tmp_path / "engine.bin")

        ours, theirs = engine.search(rows[:30], 10), other.search(rows[:30], 10)

        assert np.array_equal(ours[1], theirs[1])
        assert np.array_equal(ours[0], theirs[0])

    def test_the_rows_are_kept_whole_or_not_at_all(self, engine: Engine, rows: Float32) -> None:
        """An engine that gives rows back gives those that were built in, bit for bit."""
        assert engine.vectors is None or np.array_equal(engine.vectors, rows)

    def test_no_queries_give_no_rows(self, engine: Engine) -> None:
        """An empty batch is answered by empty matrices."""
        scores, found = engine.search(np.empty((0, DIM), np.float32), 5)

        assert (scores.shape, found.shape) == ((0, 5), (0, 5))

    def test_a_wrong_dimension_is_refused(self, engine: Engine) -> None:
        """A query of another width names both widths."""
        with pytest.raises(DimensionError, match="16-dimensional"):
            engine.search(np.ones((1, DIM + 1), np.float32), 1)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_refused(self, engine: Engine, value: float) -> None:
        """A NaN or an infinity cannot be compared, and is not."""
        queries = np.ones((2, DIM), np.float32)
        queries[1, 3] = value

        with pytest.raises(InvalidVectorError, match="row 1"):
            engine.search(queries, 1)

    def test_an_unknown_option_is_refused(self, config: IndexConfig) -> None:
        """A misspelled option is not silently ignored."""
        wrong = replace(config, options={"efx": 1})

        with pytest.raises(EngineError, match="option 'efx'"):
            create(wrong, dim=DIM)
