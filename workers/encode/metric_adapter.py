"""A linear map of embeddings learnt from pairs: what a query's text is, and what answers it."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.component import Chunk, Floats, State
from workers.encode.transform import TrainedTransform, require_width
from workers.errors import MissingLibraryError, TrainingError
from workers.vectors import stacked, unit_rows

#: Tags by which training chunks say what they are.
PAIR, SIDE, GRADE = "pair", "side", "grade"
_FEWEST_PAIRS = 2
_SEED = 20191113
#: Pulls that are tried when none is given, and the one taken of too few queries to try any.
PULLS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_MIDDLE = 0.3
_FOLDS = 5
_FEWEST_TO_CHOOSE = 20  # queries: four a fold say little, fewer nothing
#: Of more queries or documents a sample tells the pulls apart as well, in a fraction of the time.
_QUERIES_TO_CHOOSE, _DOCUMENTS_TO_CHOOSE = 500, 5_000
_DEPTH = 10  # nDCG@10 tells which pull is best

logger = logging.getLogger(__name__)

Pair = tuple[int, int, float]  # row of the query, row of a document that answers it, grade


class MetricAdapter(TrainedTransform):
    """A linear map learnt from pairs of queries and documents, so that the pairs come nearer.

    The map begins as the identity and is pulled back to it, so that few pairs cannot spoil what
    the encoder knows. How strongly, it finds out by itself: on queries held back in turn it
    measures how well each strength ranks (nDCG@10). Queries and documents go through the same map.
    Needs torch to be trained, not to be used.

    Training chunks carry the tags ``pair`` (what belongs together), ``side`` (query or document)
    and, if wanted, ``grade`` (how well a document answers); documents without a pair are further
    examples of what does not answer.

    Args:
        pull: how strongly the map is held at the identity; found by cross-validation when not
            given.
        epochs: passes over the pairs.
        temperature: how sharply the nearest wrong document counts.
        learning_rate: step size of Adam.

    Source:
        Van den Oord et al., Representation learning with contrastive predictive coding (2018).
    """

    keeps_dim = True

    def __init__(
        self,
        *,
        pull: float | None = None,
        epochs: int = 20,
        temperature: float = 0.05,
        learning_rate: float = 3e-3,
    ) -> None:
        if epochs < 1 or temperature <= 0 or learning_rate <= 0 or (pull or 0) < 0:
            raise ValueError(
                "epochs, temperature and learning_rate must be above 0, pull not below"
            )
        self.pull, self.chosen_pull = pull, pull
        self._steps = Steps(epochs, temperature, learning_rate)
        self._matrix = np.zeros((0, 0), np.float32)

    def train(self, chunks: Sequence[Chunk]) -> None:
        """Learn from chunks that are tagged as pairs."""
        queries = [chunk for chunk in chunks if chunk.tags.get(SIDE) == "query"]
        documents = [chunk for chunk in chunks if chunk.tags.get(SIDE) == "document"]
        self.expect(
            bool(queries and documents), "no chunks tagged as query and document were given"
        )
        places: dict[Any, list[int]] = {}
        for row, chunk in enumerate(queries):
            places.setdefault(chunk.tags.get(PAIR), []).append(row)
        pairs = [
            (query, row, float(chunk.tags.get(GRADE, 1.0)))
            for row, chunk in enumerate(documents)
            if chunk.tags.get(PAIR) is not None
            for query in places.get(chunk.tags[PAIR], ())
        ]
        self.learn_pairs(
            np.asarray(stacked(queries), np.float32),
            np.asarray(stacked(documents), np.float32),
            pairs,
        )

    def learn(self, rows: NDArray[np.float32]) -> None:
        """Refuse: rows alone say nothing about what belongs together."""
        reason = f"{len(rows)} vectors without pairs; tag chunks with pair and side"
        raise TrainingError(self.title, reason)

    def learn_pairs(self, queries: Floats, documents: Floats, pairs: Sequence[Pair]) -> None:
        """Learn the map.

        Args:
            queries: float32 (q, d).
            documents: float32 (n, d); every one is a wrong answer where it is no right one.
            pairs: row of the query, row of a document that answers it, grade above 0.
        """
        found = len({query for query, _, _ in pairs})
        self.expect(found >= _FEWEST_PAIRS, f"{found} queries with an answer are too few")
        self.expect(queries.shape[1] == documents.shape[1], "queries and documents differ in width")
        lesson = Lesson(queries, documents, tuple(pairs))
        pull = best_pull(lesson, self._steps) if self.pull is None else self.pull
        logger.info("MetricAdapter learns from %d pairs, with a pull of %g", len(pairs), pull)
        self.chosen_pull = pull
        self._take(learnt(lesson, pull, self._steps))

    def transform(self, rows: NDArray[np.generic]) -> Floats:
        """Return the mapped rows, of length 1."""
        require_width(rows, len(self._matrix), self.title)
        return unit_rows(np.asarray(rows, np.float32) @ self._matrix.T)

    def state(self) -> State:
        """Return the map."""
        return {"matrix": self._matrix} if self.is_trained else {}

    def load_state(self, state: State) -> None:
        """Take the map over."""
        self._take(np.asarray(state["matrix"], np.float32))

    def _take(self, matrix: Floats) -> None:
        self._matrix = matrix
        self.dim = len(matrix)
        self.is_trained = True


@dataclass(frozen=True, slots=True)
class Steps:
    """How the loss is minimised."""

    epochs: int
    temperature: float
    learning_rate: float


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """Queries (q, d), documents (n, d), and which of these answer which of those."""

    queries: Floats
    documents: Floats
    pairs: tuple[Pair, ...]

    def of(self, queries: NDArray[np.int64]) -> "Lesson":
        """Return the lesson of some queries alone; all documents stay."""
        places = {query: place for place, query in enumerate(queries.tolist())}
        kept = tuple((places[q], row, grade) for q, row, grade in self.pairs if q in places)
        return Lesson(self.queries[queries], self.documents, kept)

    def sampled(self, random: np.random.Generator) -> "Lesson":
        """Return a lesson of bounded size: some queries, their answers, some other documents."""
        asked = np.unique([query for query, _, _ in self.pairs])
        some = self.of(random.permutation(asked)[:_QUERIES_TO_CHOOSE])
        answers = list(dict.fromkeys(row for _, row, _ in some.pairs))
        others = random.permutation(np.setdiff1d(np.arange(len(self.documents)), answers))
        kept = [*answers, *others[: max(_DOCUMENTS_TO_CHOOSE - len(answers), 0)].tolist()]
        places = {row: place for place, row in enumerate(kept)}
        pairs = tuple((query, places[row], grade) for query, row, grade in some.pairs)
        return Lesson(some.queries, self.documents[kept], pairs)


def best_pull(lesson: Lesson, steps: Steps) -> float:
    """Return the pull under which held-back queries are ranked best; of equals the strongest."""
    random = np.random.default_rng(_SEED)
    lesson = lesson.sampled(random)
    queries = np.arange(len(lesson.queries))
    if len(queries) < _FEWEST_TO_CHOOSE:
        return _MIDDLE
    folds = np.array_split(random.permutation(queries), _FOLDS)
    means = []
    for pull in PULLS:
        scores: list[float] = []
        for held in folds:
            matrix = learnt(lesson.of(np.setdiff1d(queries, held)), pull, steps)
            scores += ndcg(lesson.of(held), matrix)
        means.append(float(np.mean(scores)))
    return max(zip(means, PULLS, strict=True))[1]


def ndcg(lesson: Lesson, matrix: Floats) -> list[float]:
    """Return nDCG@10 of each query under a map, with gains 2^grade - 1.

    Source:
        Jarvelin, Kekalainen, Cumulated gain-based evaluation of IR techniques (2002).
    """
    asked, answers = (unit_rows(rows @ matrix.T) for rows in (lesson.queries, lesson.documents))
    gains = np.zeros((len(asked), len(answers)))
    for query, row, grade in lesson.pairs:
        gains[query, row] = 2.0**grade - 1.0
    best = np.argsort(-(asked @ answers.T), axis=1, kind="stable")[:, :_DEPTH]
    discounts = 1.0 / np.log2(np.arange(best.shape[1]) + 2)
    found = np.take_along_axis(gains, best, axis=1) @ discounts
    ideal = -np.sort(-gains, axis=1)[:, :_DEPTH] @ discounts
    return [float(score) for score in found / ideal]


def learnt(lesson: Lesson, pull: float, steps: Steps) -> Floats:
    """Minimise the contrastive loss of the pairs by Adam; return the map, float32 (d, d)."""
    try:
        import torch  # noqa: PLC0415  (optional; needed only here)
    except ModuleNotFoundError as error:
        raise MissingLibraryError("training MetricAdapter", "torch", "torch==2.13.0") from error
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    torch.manual_seed(_SEED)
    asked, answers = torch.from_numpy(lesson.queries), torch.from_numpy(lesson.documents)
    query, answer = (torch.tensor([pair[side] for pair in lesson.pairs]) for side in (0, 1))
    grades = torch.tensor([pair[2] for pair in lesson.pairs])
    is_answer = torch.zeros(len(asked), len(answers), dtype=torch.bool)
    is_answer[query, answer] = True
    identity = torch.eye(asked.shape[1])
    matrix = identity.clone().requires_grad_()
    optimizer = torch.optim.Adam([matrix], lr=steps.learning_rate)
    unit = torch.nn.functional.normalize
    for _ in range(steps.epochs):
        scores = unit(asked @ matrix.T) @ unit(answers @ matrix.T).T / steps.temperature
        wrong = torch.logsumexp(scores.masked_fill(is_answer, -torch.inf), dim=1)
        losses = torch.nn.functional.softplus(wrong[query] - scores[query, answer])
        held = pull * (matrix - identity).square().sum()
        loss = (grades * losses).sum() / grades.sum() + held
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    return np.asarray(matrix.detach().numpy(), np.float32)
