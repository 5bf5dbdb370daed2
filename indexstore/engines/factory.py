"""Any index that faiss knows by a factory string: IVF, PQ, SQ, OPQ and their combinations."""

from collections.abc import Iterator, Mapping
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
WIDEN = 4  # how much further each look goes where an index cannot be told what may come
SEED = 7  # the same rows are trained on in every build


class FactoryEngine(Engine):
    """Trains, where there is something to train, on a sample of the rows themselves.

    Its own scores are rough wherever it compresses; the shard scores candidates again from the
    stored vectors. With fewer rows than it can be trained on, it is a flat index.
    """

    # nprobe: lists looked into, for IVF; 0 takes a sixteenth of them.
    OPTIONS: ClassVar[Mapping[str, Any]] = {"factory": "IVF256,SQ8", "nprobe": 0}

    _index: Any
    _takes_selectors: bool

    @property
    def count(self) -> int:
        """How many rows were built in."""
        return int(self._index.ntotal)

    def check(self) -> None:
        """Have faiss read its description."""
        self._made(self.options["factory"])

    def build(self, rows: Vectors, path: Path) -> None:
        """Train on a sample, add all, write."""
        use_thread_budget()
        description = self.options["factory"]
        index = self._made(description)
        try:
            index.train(_sample(rows))
        except RuntimeError as error:
            if len(rows) > TRAINING_ROWS:
                raise EngineError("faiss", f"cannot be trained ({error})") from error
            index = self._made("Flat")  # too few rows to learn their shape from
        try:
            for start in range(0, len(rows), BUILD_BLOCK):
                index.add(np.ascontiguousarray(rows[start : start + BUILD_BLOCK]))
            index.search(np.ascontiguousarray(rows[:1]), 1)
        except RuntimeError as error:
            reason = f"an index {description!r} cannot be searched ({error})"
            raise EngineError("faiss", reason) from error
        faiss.write_index(index, str(path))

    def _made(self, description: str) -> Any:
        kind = faiss.METRIC_L2 if self.metric == "l2" else faiss.METRIC_INNER_PRODUCT
        try:
            index = faiss.index_factory(self.dim, description, kind)
        except RuntimeError as error:
            reason = f"there is no index {description!r} of {self.dim} dimensions ({error})"
            raise EngineError("faiss", reason) from error
        for layer in _layers(index):
            _bound_training(layer)
        return index

    def open(self, path: Path) -> None:
        """Map the file where faiss can, as it can for inverted lists."""
        self._index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        for layer in _layers(self._index):
            if isinstance(layer, faiss.IndexIVF):
                layer.nprobe = self.options["nprobe"] or max(1, layer.nlist // 16)
        self._takes_selectors = self._is_searched_with(RowMask.of(np.ones(self.count, np.bool_)))

    def _is_searched_with(self, allowed: RowMask) -> bool:
        """Tell whether this kind of index can be told which rows may come back."""
        try:
            self._asked(np.zeros((1, self.dim), np.float32), 1, allowed, None)
        except RuntimeError:
            return False
        return True

    def _search(
        self, queries: Vectors, limit: int, allowed: RowMask | None, *, effort: int | None
    ) -> tuple[Scores, Rows]:
        use_thread_budget()
        if allowed is not None and not self._takes_selectors:
            return self._sifted(queries, limit, allowed, effort)
        return self._asked(queries, limit, allowed, effort)

    def _asked(
        self, queries: Vectors, limit: int, allowed: RowMask | None, effort: int | None
    ) -> tuple[Scores, Rows]:
        params = _parameters(self._index, allowed, effort)
        scores, rows = self._index.search(np.ascontiguousarray(queries), limit, params=params)
        if self.metric == "l2":
            scores = 1.0 / (1.0 + np.sqrt(np.maximum(scores, 0.0)))
        scores[rows < 0] = -np.inf
        return _sorted(scores, rows)

    def _sifted(
        self, queries: Vectors, limit: int, allowed: RowMask, effort: int | None
    ) -> tuple[Scores, Rows]:
        """Ask for more than is wanted and drop what may not come, until there is enough."""
        width, wanted = limit, min(limit, allowed.count)
        while True:
            width = min(self.count, WIDEN * width)
            scores, rows = self._asked(queries, width, None, effort)
            scores[~allowed.rows[np.maximum(rows, 0)] | (rows < 0)] = -np.inf
            rows[np.isneginf(scores)] = -1
            if width == self.count or int((rows >= 0).sum(axis=1).min()) >= wanted:
                scores, rows = _sorted(scores, rows)
                return scores[:, :limit], rows[:, :limit]


def _layers(index: Any) -> Iterator[Any]:
    """Yield an index and those inside it: transforms and refinements stand around others."""
    yield index
    for name in ("index", "base_index", "storage"):
        if isinstance(index, _AROUND) and (inner := getattr(index, name, None)) is not None:
            yield from _layers(faiss.downcast_index(inner))


_AROUND = (faiss.IndexPreTransform, faiss.IndexRefine, faiss.IndexHNSW)


def _bound_training(index: Any) -> None:
    """Let an index learn for a bounded time, and nothing that is not asked for afterwards."""
    if isinstance(index, faiss.IndexIVF):
        index.cp.niter, index.cp.min_points_per_centroid = ROUNDS, 1
    if hasattr(index, "do_polysemous_training"):
        index.do_polysemous_training = False  # minutes, for a search that we never ask for
    if not isinstance(index, faiss.IndexPreTransform):
        return
    for place in range(index.chain.size()):
        step = faiss.downcast_VectorTransform(index.chain.at(place))
        if isinstance(step, faiss.OPQMatrix):
            step.niter, step.max_train_points = OPQ_ROUNDS, OPQ_ROWS


def _parameters(index: Any, allowed: RowMask | None, effort: int | None) -> Any:
    """Return what to search an index with; None where there is nothing to say."""
    if isinstance(index, faiss.IndexPreTransform):
        inner = _parameters(faiss.downcast_index(index.index), allowed, effort)
        return inner and faiss.SearchParametersPreTransform(index_params=inner)
    if isinstance(index, faiss.IndexRefine):
        inner = _parameters(faiss.downcast_index(index.base_index), allowed, effort)
        chosen = {"k_factor": index.k_factor, "base_index_params": inner}
        return inner and faiss.IndexRefineSearchParameters(**chosen)
    return None if allowed is None and effort is None else _plain(index, allowed, effort)


def _plain(index: Any, allowed: RowMask | None, effort: int | None) -> Any:
    """Return what to search an index with that stands around no other."""
    selector = {} if allowed is None else {"sel": faiss.IDSelectorBitmap(allowed.packed)}
    if isinstance(index, faiss.IndexIVF):
        share = 1.0 if allowed is None else allowed.share
        wide = int((effort or index.nprobe) * share**-0.5)
        return faiss.SearchParametersIVF(nprobe=min(wide, index.nlist), **selector)
    if isinstance(index, faiss.IndexHNSW):
        return faiss.SearchParametersHNSW(efSearch=effort or index.hnsw.efSearch, **selector)
    return faiss.SearchParameters(**selector) if selector else None


def _sorted(scores: Scores, rows: Rows) -> tuple[Scores, Rows]:
    """Return hits best first; rough scores do not always come so."""
    if not (scores[:, 1:] > scores[:, :-1]).any():
        return scores, rows
    order = np.argsort(-scores, axis=1, kind="stable")
    return np.take_along_axis(scores, order, axis=1), np.take_along_axis(rows, order, axis=1)


def _sample(rows: Vectors) -> Vectors:
    """Return the rows to train on: all, or a random sample in their order."""
    if len(rows) <= TRAINING_ROWS:
        return np.ascontiguousarray(rows)
    chosen = np.random.default_rng(SEED).choice(len(rows), TRAINING_ROWS, replace=False)
    return np.ascontiguousarray(rows[np.sort(chosen)])
