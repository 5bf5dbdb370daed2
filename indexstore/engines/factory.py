"""Any index that faiss knows by a factory string: IVF, PQ, SQ, OPQ and their combinations."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from indexstore.engines.base import Engine, RowMask, Rows, Scores, Vectors
from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.errors import EngineError

BUILD_BLOCK = 50_000  # rows added at a time, so that a mapped matrix is never copied whole
TRAINING_ROWS = 100_000  # more rows to train on cost time and gain nothing
#: OPQ learns its rotation in rounds that each train a quantizer anew; faiss would take 50 of them
#: on 65 536 rows, which is hours for some hundred dimensions on a few cores.
OPQ_ROUNDS = 8
OPQ_ROWS = 16_384
ROUNDS = 10  # of k-means for inverted lists; more move no border that matters
SEED = 7  # the same rows are trained on in every build


class FactoryEngine(Engine):
    """Trains, where there is something to train, on a sample of the rows themselves.

    Its own scores are rough wherever it compresses; the shard scores candidates again from the
    stored vectors. With fewer rows than it can be trained on, it is a flat index.
    """

    # nprobe: lists looked into, for IVF; 0 takes a sixteenth of them.
    OPTIONS: ClassVar[Mapping[str, Any]] = {"factory": "IVF256,SQ8", "nprobe": 0}

    _index: Any

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return int(self._index.ntotal)

    def build(self, rows: Vectors, path: Path) -> None:
        """Train on a sample, add all, write."""
        use_thread_budget()
        index = self._made(self.options["factory"])
        sample = _sample(rows)
        try:
            index.train(sample)
        except RuntimeError as error:
            if len(rows) > TRAINING_ROWS:
                raise EngineError("faiss", f"cannot be trained ({error})") from error
            index = self._made("Flat")  # too few rows to learn their shape from
        for start in range(0, len(rows), BUILD_BLOCK):
            index.add(np.ascontiguousarray(rows[start : start + BUILD_BLOCK]))
        faiss.write_index(index, str(path))

    def _made(self, description: str) -> Any:
        kind = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        try:
            index = faiss.index_factory(self.dim, description, kind)
        except RuntimeError as error:
            reason = f"there is no index {description!r} of {self.dim} dimensions ({error})"
            raise EngineError("faiss", reason) from error
        _bound_rotation(index)
        lists = _inverted(index)
        if lists is not None:
            lists.cp.niter, lists.cp.min_points_per_centroid = ROUNDS, 1
        return index

    def open(self, path: Path) -> None:
        """Map the file where faiss can, as it can for inverted lists."""
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        lists = _inverted(self._index)
        if lists is not None:
            lists.nprobe = self.options["nprobe"] or max(1, lists.nlist // 16)

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        use_thread_budget()
        params = self._parameters(allowed, effort)
        scores, rows = self._index.search(np.ascontiguousarray(queries), limit, params=params)
        if self.metric == "l2":
            scores = 1.0 / (1.0 + np.sqrt(np.maximum(scores, 0.0)))
        scores[rows < 0] = -np.inf
        return scores, rows

    def _parameters(self, allowed: RowMask | None, effort: int | None) -> Any:
        lists = _inverted(self._index)
        if allowed is None and effort is None:
            return None
        chosen: dict[str, Any] = {}
        if allowed is not None:
            chosen["sel"] = faiss.IDSelectorBitmap(allowed.packed)
        if lists is None:
            params: Any = faiss.SearchParameters(**chosen)
        else:
            share = 1.0 if allowed is None else allowed.share
            wide = int((effort or lists.nprobe) * share**-0.5)
            params = faiss.SearchParametersIVF(nprobe=min(wide, lists.nlist), **chosen)
        if isinstance(self._index, faiss.IndexPreTransform):
            return faiss.SearchParametersPreTransform(index_params=params)
        return params


def _inverted(index: Any) -> Any:
    """Return the inverted lists inside an index, or None."""
    while isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return index if isinstance(index, faiss.IndexIVF) else None


def _bound_rotation(index: Any) -> None:
    """Let OPQ learn for a bounded time."""
    if not isinstance(index, faiss.IndexPreTransform):
        return
    for place in range(index.chain.size()):
        step = faiss.downcast_VectorTransform(index.chain.at(place))
        if isinstance(step, faiss.OPQMatrix):
            step.niter, step.max_train_points = OPQ_ROUNDS, OPQ_ROWS


def _sample(rows: Vectors) -> Vectors:
    """Return the rows to train on: all, or a random sample in their order."""
    if len(rows) <= TRAINING_ROWS:
        return np.ascontiguousarray(rows)
    chosen = np.random.default_rng(SEED).choice(len(rows), TRAINING_ROWS, replace=False)
    return np.ascontiguousarray(rows[np.sort(chosen)])
