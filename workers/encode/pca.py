"""Principal components: fewer dimensions that keep most of the variance."""

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from workers.component import Floats, State
from workers.encode.transform import TrainedTransform, require_width

#: Rows a step of the covariance; bounds the memory beside the d x d matrix.
_BATCH = 4096
#: Components of no variance are not blown up when whitening.
_LEAST_VARIANCE = 1e-12


class PCA(TrainedTransform):
    """Principal components: fewer dimensions that keep most of the variance.

    Exact, though it goes over the rows in steps: it sums the covariance in float64.

    Args:
        dim: dimensions that are kept; fewer than the input has.
        whiten: scale every component to variance 1.
    """

    aliases: ClassVar[tuple[str, ...]] = ("PCAEncoder",)
    former_options: ClassVar[dict[str, str | None]] = {"output_dim": "dim"}
    takes_dim: ClassVar[dict[str, str]] = {"over": "dim"}

    def __init__(self, *, dim: int, whiten: bool = False) -> None:
        if dim < 1:
            raise ValueError(f"dim must be at least 1, not {dim}")
        self.dim = dim
        self.whiten = whiten
        self._mean = np.zeros(0, np.float32)
        self._components = np.zeros((0, 0), np.float32)

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Learn the mean and the directions of most variance."""
        count, width = rows.shape
        self.expect(self.dim < width, f"dim {self.dim} is not below the input's {width} dimensions")
        self.expect(count >= self.dim, f"{count} rows are fewer than its {self.dim} dimensions")
        mean, covariance = _moments(rows)
        variances, vectors = np.linalg.eigh(covariance)
        order = np.argsort(variances)[::-1][: self.dim]
        chosen, components = np.maximum(variances[order], 0.0), vectors[:, order].T
        components *= np.sign(components[np.arange(self.dim), np.abs(components).argmax(axis=1)])[
            :, None
        ]
        arranged = self.arrangement(chosen)
        if self.whiten:
            components = components / np.sqrt(np.maximum(chosen, _LEAST_VARIANCE))[:, None]
        self._mean = mean.astype(np.float32)
        self._components = components[arranged].astype(np.float32)
        self.is_trained = True

    def arrangement(self, variances: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the order of the components; here by falling variance."""
        return np.arange(len(variances))

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return the rows' coordinates along the components."""
        require_width(rows, len(self._mean), self.title)
        return np.asarray((np.asarray(rows, np.float32) - self._mean) @ self._components.T)

    def state(self) -> State:
        """Return mean and components."""
        learnt = {"mean": self._mean, "components": self._components}
        return learnt if self.is_trained else {}

    def load_state(self, state: State) -> None:
        """Take mean and components over."""
        self._mean = np.asarray(state["mean"], np.float32)
        self._components = np.asarray(state["components"], np.float32)
        self.is_trained = True


class PCALocal(PCA):
    """Principal components in groups of equal variance, as product quantisation wants them.

    The components are dealt out so that the parts a PQ cuts the vector into carry alike much.

    Args:
        dim: dimensions that are kept; fewer than the input has, a multiple of num_locals.
        num_locals: number of groups.
    """

    aliases = ("PCALocalEncoder",)

    def __init__(self, *, dim: int, num_locals: int) -> None:
        if num_locals < 1 or dim % num_locals:
            raise ValueError(f"dim {dim} must be a multiple of num_locals {num_locals}")
        super().__init__(dim=dim)
        self.num_locals = num_locals

    def arrangement(self, variances: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the components group by group."""
        return balanced_permutation(variances, self.num_locals)


def balanced_permutation(values: NDArray[np.floating], groups: int) -> NDArray[np.int64]:
    """Deal values out to groups of equal size and like sums; return the places, group by group.

    Greedy: the largest value left goes to the group of the smallest sum that has room.
    """
    room = len(values) // groups
    members: list[list[int]] = [[] for _ in range(groups)]
    sums = np.zeros(groups)
    for place in np.argsort(-np.asarray(values), kind="stable"):
        open_groups = [group for group in range(groups) if len(members[group]) < room]
        smallest = min(open_groups, key=lambda group: sums[group])
        members[smallest].append(int(place))
        sums[smallest] += values[place]
    return np.array([place for group in members for place in group], np.int64)


def _moments(rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean (d,) and covariance (d, d), summed over steps of rows."""
    mean = rows.mean(axis=0, dtype=np.float64)
    total = np.zeros((rows.shape[1], rows.shape[1]))
    for start in range(0, len(rows), _BATCH):
        centred = rows[start : start + _BATCH] - mean
        total += centred.T @ centred
    return mean, total / max(len(rows) - 1, 1)
