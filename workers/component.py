"""The contract of components: what a plug-in author reads, and what the workers rely on.

A component is a class. Its keyword-only ``__init__`` arguments ARE its YAML options; ``__init__``
is light (it keeps and checks options, no file, no model), because flows are validated with it.
``setup()`` does the heavy part (loads models, imports optional libraries), once a process. After
that one verb does the work: ``apply``, ``encode``, ``score``, ``reduce`` or ``rerank``; it is
called from several threads at once and must not change the component. A component that learns
also has ``train``, ``state`` and ``load_state`` (plain arrays, never pickle).

The class docstring's first line is the catalog's summary, its ``Args:`` section documents the
options; ``name`` and ``aliases`` are what YAML may call it.
"""

import hashlib
import inspect
import json
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, BinaryIO, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from workers.errors import NotTrainedError

Modality = Literal["text", "image", "video", "audio"]
Input = Literal["text", "image", "video", "audio", "embedding"]

Rows = NDArray[Any]
"""One row a chunk; float32 (n, dim) unless the encoder's ``dtype`` says otherwise."""

Floats = NDArray[np.float32]
State = Mapping[str, NDArray[Any]]

Cursor = dict[str, Any]
"""Where a streaming preprocessor goes on: plain values and arrays."""


@dataclass(frozen=True, slots=True)
class Source:
    """One document or query as a preprocessor sees it: a text, or a medium.

    A medium comes as ``data``, or as a file that ``opener`` opens, for it may be larger than the
    memory: read it by ``open`` or ``read``. Inside a pipeline a source is a chunk of the
    preprocessor before: then media come as ``array``, and ``origins`` says for each character of
    ``text`` where it stands in the original.
    """

    modality: Modality
    text: str | None = None
    data: bytes | None = None
    array: NDArray[Any] | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    origins: NDArray[np.int32] | None = None
    opener: Callable[[], BinaryIO] | None = None

    @property
    def is_file(self) -> bool:
        """Whether it holds the content of a file."""
        return self.data is not None or self.opener is not None

    def open(self) -> BinaryIO:
        """Return the medium as a file; close it after use."""
        return self.opener() if self.opener is not None else BytesIO(self.data or b"")

    def read(self) -> bytes:
        """Return the medium as a whole; only for what is known to be small."""
        if self.data is not None:
            return self.data
        with self.open() as file:
            return file.read()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part that is encoded as one vector.

    Attributes:
        position: ordinal of the chunk in its document, from 0.
        weight: its share of the document, at most 1.
        span: where it stands in the original: characters [start, end) of a text, seconds of
            sound or film, (x0, y0, x1, y1) of an image in pixels as it is shown; (-1, -1) when
            there is no such place.
        text: its text, for encoders of text.
        array: its pixels, samples or frames, or a vector for numeric encoders.
        tags: what the preprocessor learnt about it, such as its headings.
        origins: for each character of ``text`` its place in the original, when ``text`` is no
            mere cut of it (mark-up, JSON); read by the next preprocessor of a pipeline.
    """

    position: int = 0
    weight: float = 1.0
    span: tuple[float, ...] = (-1, -1)
    text: str | None = None
    array: NDArray[Any] | None = None
    tags: Mapping[str, Any] = field(default_factory=dict)
    origins: NDArray[np.int32] | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """How much each of some chunks counts and where it stands, in columns.

    Attributes:
        weights: float (n,). spans: float (n, 2) or (n, 4).
    """

    weights: NDArray[np.float64]
    spans: NDArray[np.float64]

    @classmethod
    def of(cls, chunks: Sequence[Chunk]) -> Self:
        """Return the columns of some chunks."""
        weights = np.array([chunk.weight for chunk in chunks], np.float64)
        width = max((len(chunk.span) for chunk in chunks), default=2)
        spans = np.full((len(chunks), width), -1.0)
        for row, chunk in zip(spans, chunks, strict=True):
            row[: len(chunk.span)] = chunk.span
        return cls(weights, spans)


class Tally:
    """Counts what a component wants known, such as texts it had to cut; safe between threads."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, what: str, number: int = 1) -> None:
        """Count ``number`` more of ``what``."""
        with self._lock:
            self._counts[what] += number

    def counts(self) -> dict[str, int]:
        """Return all counts that nobody has taken."""
        with self._lock:
            return dict(self._counts)

    def take(self) -> dict[str, int]:
        """Return all counts and begin at nought again."""
        with self._lock:
            taken = dict(self._counts)
            self._counts.clear()
            return taken


class Component(ABC):
    """What all kinds share: options, names, one-time set-up, a fingerprint and a tally."""

    kind: ClassVar[str] = "component"
    name: ClassVar[str] = ""
    aliases: ClassVar[tuple[str, ...]] = ()
    inputs: ClassVar[tuple[Input, ...]] = ()
    """What it reads; "embedding" for what works on another encoder's vectors."""
    outputs: ClassVar[tuple[Input, ...]] = ()
    """What a preprocessor's chunks hold, when that is not what it reads (frames of a film)."""
    speed_options: ClassVar[tuple[str, ...]] = ()
    """Options that change speed or place but never a result; not part of the fingerprint."""
    former_options: ClassVar[Mapping[str, str | None]] = {}
    """GNES's names of options: what they are called here, or None for those without a use now."""
    version: ClassVar[int] = 1
    """Raise it when the same options begin to give other results; part of the fingerprint."""

    options: Mapping[str, Any]
    tally: Tally

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Keep the options as they were given, defaults filled in, for the fingerprint."""
        self = super().__new__(cls)
        bound = inspect.signature(cls).bind(*args, **kwargs)
        bound.apply_defaults()
        self.options = dict(bound.arguments)
        self.tally = Tally()
        return self

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return every name YAML may call this component by, the main one first."""
        own = cls.__dict__.get("name") or cls.__name__
        aliases = cls.__dict__.get("aliases", ())
        return tuple(dict.fromkeys((own, cls.__name__, *aliases)))

    def setup(self) -> None:  # noqa: B027  (a hook: most components need no set-up)
        """Load models and optional libraries; called once a process, before the verb."""

    def tallies(self) -> tuple[Tally, ...]:
        """Return its tally and those of the components that its options hold."""
        given = (
            part
            for value in self.options.values()
            for part in (value if isinstance(value, list | tuple) else (value,))
        )
        inner = (tally for one in given if isinstance(one, Component) for tally in one.tallies())
        return (self.tally, *inner)

    def fingerprint(self) -> str:
        """Return a short hash of what shapes the results: class, version and options.

        A component with weights overrides this to mix them in.
        """
        return digest(type(self).names()[0], self.version, self.shaping_options())

    def shaping_options(self) -> dict[str, Any]:
        """Return the options that shape results."""
        return {k: v for k, v in self.options.items() if k not in self.speed_options}


class Preprocessor(Component):
    """Cuts one document into chunks."""

    kind = "preprocessor"

    @abstractmethod
    def apply(self, source: Source) -> list[Chunk]:
        """Cut ``source`` into chunks, in order, at least one.

        Raises:
            ContentError: nothing can be made of this source; it fails alone.
        """


class Streaming(Preprocessor):
    """Cuts what may be too long to hold, chunk by chunk, and can go on where it was stopped.

    In the pauses of ``stream`` a worker may hand on what came so far, turn to a query, and let
    another worker go on. So memory and the time that others wait are bounded, however long the
    medium is.
    """

    @abstractmethod
    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Yield the chunks from where ``cursor`` says, in order; None now and then, as a pause.

        Args:
            source: the medium.
            cursor: empty at first. Before each pause it is made to say all that is needed to go on
                after it, in plain values and arrays; it may hold what ``settle`` wants, too.

        Raises:
            ContentError: nothing can be made of this source; it fails alone.
        """

    def settle(self, placed: Placed, cursor: Cursor) -> Placed:
        """Return final weights and spans once all chunks are known; weight 0 leaves one out."""
        del cursor
        return placed

    def apply(self, source: Source) -> list[Chunk]:
        """Cut the whole source at once."""
        cursor: Cursor = {}
        chunks = [chunk for chunk in self.stream(source, cursor) if chunk is not None]
        return self.settled(chunks, cursor)

    def settled(self, chunks: Sequence[Chunk], cursor: Cursor) -> list[Chunk]:
        """Return all chunks of a stream that has ended as they are in the end."""
        placed = self.settle(Placed.of(chunks), cursor)
        kept = [place for place, weight in enumerate(placed.weights.tolist()) if weight > 0]
        return [
            replace(
                chunks[place],
                position=position,
                weight=float(placed.weights[place]),
                span=tuple(placed.spans[place].tolist()),
            )
            for position, place in enumerate(kept)
        ]


class Encoder(Component):
    """Turns chunks into vectors.

    ``dim`` is a class attribute when it is fixed, or set in ``__init__`` from the option that
    ``dim_option`` names; 0 means that it is known only after ``setup`` or ``train``.
    """

    kind = "encoder"
    inputs: ClassVar[tuple[Input, ...]] = ("text",)
    dim_option: ClassVar[str] = "dim"
    dim: int = 0
    dim_doubling: ClassVar[tuple[str, ...]] = ()
    """Values of options that make vectors twice as long as ``dim_option`` says."""
    keeps_dim: ClassVar[bool] = False
    """Whether the vectors it makes of others are as long as those."""
    takes_dim: ClassVar[Mapping[str, str]] = {}
    """What an encoder of vectors asks of their length, checked with the flow: {"over": option} or
    {"multiple of": option}."""
    dtype: str = "float32"
    metric: ClassVar[Literal["", "bytes", "bits", "buckets"]] = ""
    """How its codes must be compared: by equal bytes, by bits, by bits in buckets; "" if none."""

    @abstractmethod
    def encode(self, chunks: Sequence[Chunk]) -> Rows:
        """Return one row a chunk, in the order given: ``dtype`` (n, dim).

        A row must not depend on the rows it is encoded with.

        Raises:
            ContentError: a chunk lacks what this encoder reads.
            NotTrainedError: the encoder learns and was not trained.
        """


class Trainable(Component):
    """A component that learns before it is of use; mixed in beside its kind."""

    is_trained: bool = False

    @abstractmethod
    def train(self, chunks: Sequence[Chunk]) -> None:
        """Learn from ``chunks``, replacing what was learnt before.

        Raises:
            TrainingError: too few chunks, or of a wrong shape.
        """

    @abstractmethod
    def state(self) -> State:
        """Return what was learnt as named plain arrays; empty when not trained."""

    @abstractmethod
    def load_state(self, state: State) -> None:
        """Take over what ``state`` returned, here or in another process."""

    def require_training(self) -> None:
        """Raise NotTrainedError unless trained."""
        if not self.is_trained:
            raise NotTrainedError(type(self).names()[0])

    def fingerprint(self) -> str:
        """Return the hash of class, options and what was learnt."""
        return digest(super().fingerprint(), state_digest(self.state()))


@dataclass(frozen=True, slots=True)
class ChunkHits:
    """Pairs of a query's chunk and a found chunk, in columns; m pairs of any number of queries.

    Attributes:
        values: float (m,), the scores so far; higher is better.
        queries, query_chunks: int (m,), which query, and which of its chunks.
        documents, positions: int (m,), which document (any numbering), and which of its chunks.
        query_weights, chunk_weights, document_weights: float (m,).
        query_cells, chunk_cells: float (m, 2), column and row (0, 1 or 2) of each chunk's middle in
            a grid of three by three over its picture; None where there is no plane.
        document_chunks: int (m,), how many chunks the document has.
        total_documents, total_chunks: size of the collection.
        found: int (m,), how many chunk hits a value was made of; None for chunk hits themselves.
            After reduction a row is a document.
    """

    values: NDArray[np.float64]
    queries: NDArray[np.int64]
    query_chunks: NDArray[np.int64]
    documents: NDArray[np.int64]
    positions: NDArray[np.int64]
    query_weights: NDArray[np.float64]
    chunk_weights: NDArray[np.float64]
    document_weights: NDArray[np.float64]
    document_chunks: NDArray[np.int64]
    query_cells: NDArray[np.float64] | None = None
    chunk_cells: NDArray[np.float64] | None = None
    total_documents: int = 0
    total_chunks: int = 0
    found: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class Explanation:
    """One node of the tree that says how a score came to be."""

    value: float
    name: str
    doc: str
    operands: tuple["Explanation", ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the tree as plain JSON-able data."""
        tree: dict[str, Any] = {"value": self.value, "name": self.name, "doc": self.doc}
        if self.params:
            tree["params"] = dict(self.params)
        if self.operands:
            tree["operands"] = [operand.to_dict() for operand in self.operands]
        return tree


class ScoreFunction(Component):
    """Turns the scores of chunk hits into better ones, all hits at once.

    ``scores`` says what it judges where a flow's ``score_fn`` names it: the hits of chunks, or the
    documents that these were reduced to.
    """

    kind = "score"
    scores: ClassVar[Literal["chunks", "documents"]] = "chunks"

    @abstractmethod
    def score(self, hits: ChunkHits) -> NDArray[np.float64]:
        """Return the new value of each hit, float64 (m,)."""

    @abstractmethod
    def explain(self, hits: ChunkHits, row: int) -> Explanation:
        """Return how the value of hit ``row`` came to be; its root is ``score(hits)[row]``."""


class Reducer(Component):
    """Makes one score of the several that belong to one document."""

    kind = "reducer"

    @abstractmethod
    def reduce(self, values: NDArray[Any], groups: NDArray[Any], count: int) -> NDArray[np.float64]:
        """Return one value a group, float64 (count,); ``groups`` numbers 0..count-1 a value."""


class Reranker(Component):
    """Scores the texts of the best hits again, reading query and text together."""

    kind = "reranker"
    inputs = ("text",)

    @abstractmethod
    def rerank(self, query: str, texts: Sequence[str]) -> Floats:
        """Return one score a text, float32 (n,); higher is better."""


def digest(*parts: Any) -> str:
    """Return a short stable hash of plain values, 16 hex digits."""
    text = json.dumps(parts, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def state_digest(state: State) -> str:
    """Return a short stable hash of named arrays, 16 hex digits."""
    whole = hashlib.sha256()
    for name in sorted(state):
        array = np.ascontiguousarray(state[name])
        whole.update(f"{name}:{array.dtype.str}:{array.shape}".encode())
        whole.update(array.tobytes())
    return whole.hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return value.fingerprint()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence | set | frozenset):
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else list(value)
    return str(value)
