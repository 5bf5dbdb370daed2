"""The units of a segment by neighbourhood, so that what a filter lets pass is found near a query.

An engine's graph leads to a query's neighbours whether they may come back or not. Where few of
them may, it finds too little, and it cannot tell. Here the units that may come are compared one by
one, those of the nearest neighbourhoods first, until enough were: the fewer pass around a query,
the further it looks, at the same cost. They lie list after list in eight bits a number, for what
limits such a scan is how much memory it reads.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from indexstore.engines.base import RowMask
from indexstore.engines.faiss_library import faiss, use_thread_budget
from indexstore.ids import mapped
from indexstore.model import Float32, Metric
from indexstore.runs import Indices

FROM_ROWS = 8192  # fewer are scanned as fast as they are looked up here
MOST_LISTS = 4096
ROUNDS = 8  # of k-means; more move no border that matters
SAMPLE = 64  # rows a list to learn from
BLOCK = 50_000  # rows added at a time, so that a mapped matrix is never copied whole
SEED = 7  # the same rows have the same lists in every build
INDEX, MEMBERS = "lists.bin", "list_members.npy"


@dataclass(frozen=True, eq=False)
class Lists:
    """Neighbourhoods of units: which unit belongs to which, and their inverted lists."""

    index: Any  # an IndexIVF
    members: NDArray[np.uint16]  # (n,) the list of each unit

    @classmethod
    def map(cls, folder: Path) -> Self | None:
        """Map the lists of a segment's folder; None where it has none."""
        if not (folder / INDEX).exists():
            return None
        index = faiss.read_index(str(folder / INDEX), faiss.IO_FLAG_MMAP_IFC)
        return cls(index, mapped(folder / MEMBERS))

    @cached_property
    def centres(self) -> Float32:
        """The middle of each list, (l, d)."""
        centres: Float32 = self.index.quantizer.reconstruct_n(0, self.index.nlist)
        return centres

    @cached_property
    def sizes(self) -> Indices:
        """How many units each list has."""
        return np.bincount(self.members, minlength=self.index.nlist)

    def counts(self, mask: NDArray[np.bool_]) -> Indices:
        """Return how many of each list's units a mask allows."""
        return np.bincount(self.members[mask], minlength=self.index.nlist)

    def nearness(self, queries: Float32) -> Float32:
        """Return how near each list is to each query, (q, l); higher is nearer."""
        products = queries @ self.centres.T
        if self.index.metric_type == faiss.METRIC_INNER_PRODUCT:
            return products
        squares = np.square(queries).sum(axis=1)[:, None] + self._squares
        return np.asarray(2.0 * products - squares)

    @cached_property
    def _squares(self) -> Float32:
        return np.asarray(np.square(self.centres).sum(axis=1))

    def candidates(
        self, queries: Float32, width: int, allowed: RowMask, chosen: tuple[Indices, Float32]
    ) -> Indices:
        """Return the best units of some lists as far as eight bits can tell, (q, w).

        Args:
            queries: float32 (q, d).
            width: units a query; -1 where there are fewer.
            allowed: the units that may come.
            chosen: lists (q, p), -1 for none, and how near they are.
        """
        use_thread_budget()
        is_product = self.index.metric_type == faiss.METRIC_INNER_PRODUCT
        lists = np.ascontiguousarray(chosen[0])
        nearness = np.ascontiguousarray(chosen[1] if is_product else np.negative(chosen[1]))
        scores = np.empty((len(queries), width), np.float32)
        units = np.empty((len(queries), width), np.int64)
        selector = faiss.IDSelectorBitmap(allowed.packed)
        params = faiss.SearchParametersIVF(nprobe=lists.shape[1], sel=selector)
        asked = [faiss.swig_ptr(each) for each in (lists, nearness, scores, units)]
        as_labels = False  # not as pairs of list and place
        self.index.search_preassigned_c(
            len(queries), faiss.swig_ptr(queries), width, *asked, as_labels, params
        )
        return units


def write_lists(rows: Float32, metric: Metric, folder: Path) -> None:
    """Group rows by k-means, about as many lists as rows a list, and write them to a folder."""
    use_thread_budget()
    dim, count = rows.shape[1], min(MOST_LISTS, math.isqrt(len(rows)))
    means = faiss.Kmeans(
        dim, count, niter=ROUNDS, seed=SEED,
        min_points_per_centroid=1, max_points_per_centroid=SAMPLE,
    )  # fmt: skip
    sample = _sample(rows, count * SAMPLE)
    means.train(sample)
    kind = faiss.METRIC_L2 if metric == "l2" else faiss.METRIC_INNER_PRODUCT
    codes = faiss.ScalarQuantizer.QT_8bit
    index = faiss.IndexIVFScalarQuantizer(means.index, dim, count, codes, kind)
    index.train(sample)
    members = np.empty(len(rows), np.uint16)
    for first in range(0, len(rows), BLOCK):
        block = np.ascontiguousarray(rows[first : first + BLOCK])
        lists = means.index.search(block, 1)[1][:, 0]
        index.add_core(len(block), faiss.swig_ptr(block), None, faiss.swig_ptr(lists))
        members[first : first + BLOCK] = lists
    faiss.write_index(index, str(folder / INDEX))
    np.save(folder / MEMBERS, members)


def _sample(rows: Float32, count: int) -> Float32:
    """Return rows to learn from, spread over all of them."""
    if len(rows) <= count:
        return np.ascontiguousarray(rows)
    chosen = np.random.default_rng(SEED).choice(len(rows), count, replace=False)
    return np.ascontiguousarray(rows[np.sort(chosen)])
