"""A linear map of embeddings learnt from pairs: what a query's text is, and what answers it."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

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


class MetricAdapter(TrainedTransform):
    """A linear map learnt from pairs of queries and documents, so that the pairs come nearer.

    The map begins as the identity and is pulled back to it, so that few pairs cannot spoil what
    the encoder knows. Queries and documents go through the same map. Needs torch to be trained,
    not to be used.

    Training chunks carry the tags ``pair`` (what belongs together), ``side`` (query or document)
    and, if wanted, ``grade`` (how well a document answers); documents without a pair are further
    examples of what does not answer.

    Args:
        pull: how strongly the map is held at the identity.
        epochs: passes over the pairs.
        temperature: how sharply the nearest wrong document counts.
        learning_rate: step size of Adam.

    Source:
        Van den Oord et al., Representation learning with contrastive predictive coding (2018).
    """

    speed_options: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        *,
        pull: float = 0.25,
        epochs: int = 60,
        temperature: float = 0.05,
        learning_rate: float = 1e-3,
    ) -> None:
        if epochs < 1 or temperature <= 0 or learning_rate <= 0 or pull < 0:
            raise ValueError(
                "epochs, temperature and learning_rate must be above 0, pull not below"
            )
        self.pull, self.epochs = pull, epochs
        self.temperature, self.learning_rate = temperature, learning_rate
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

    def learn_pairs(
        self, queries: Floats, documents: Floats, pairs: Sequence[tuple[int, int, float]]
    ) -> None:
        """Learn the map.

        Args:
            queries: float32 (q, d).
            documents: float32 (n, d); every one is a wrong answer where it is no right one.
            pairs: row of the query, row of a document that answers it, grade above 0.
        """
        found = len({query for query, _, _ in pairs})
        self.expect(found >= _FEWEST_PAIRS, f"{found} queries with an answer are too few")
        self.expect(queries.shape[1] == documents.shape[1], "queries and documents differ in width")
        self._take(_learnt(queries, documents, pairs, self._settings()))

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

    def _settings(self) -> Mapping[str, float]:
        names = ("pull", "epochs", "temperature", "learning_rate")
        return {name: float(getattr(self, name)) for name in names}

    def _take(self, matrix: Floats) -> None:
        self._matrix = matrix
        self.dim = len(matrix)
        self.is_trained = True


def _learnt(
    queries: Floats,
    documents: Floats,
    pairs: Sequence[tuple[int, int, float]],
    settings: Mapping[str, float],
) -> Floats:
    """Minimise the contrastive loss of the pairs by Adam; return the map, float32 (d, d)."""
    try:
        import torch  # noqa: PLC0415  (optional; needed only here)
    except ModuleNotFoundError as error:
        raise MissingLibraryError("training MetricAdapter", "torch", "torch") from error
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or 1))
    torch.manual_seed(_SEED)
    asked, answers = torch.from_numpy(queries), torch.from_numpy(documents)
    query, answer = (torch.tensor([pair[side] for pair in pairs]) for side in (0, 1))
    grades = torch.tensor([pair[2] for pair in pairs])
    is_answer = torch.zeros(len(asked), len(answers), dtype=torch.bool)
    is_answer[query, answer] = True
    identity = torch.eye(asked.shape[1])
    matrix = identity.clone().requires_grad_()
    optimizer = torch.optim.Adam([matrix], lr=settings["learning_rate"])
    unit = torch.nn.functional.normalize
    for _ in range(int(settings["epochs"])):
        scores = unit(asked @ matrix.T) @ unit(answers @ matrix.T).T / settings["temperature"]
        wrong = torch.logsumexp(scores.masked_fill(is_answer, -torch.inf), dim=1)
        losses = torch.nn.functional.softplus(wrong[query] - scores[query, answer])
        held = settings["pull"] * (matrix - identity).square().sum()
        loss = (grades * losses).sum() / grades.sum() + held
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimizer.step()
    return np.asarray(matrix.detach().numpy(), np.float32)
