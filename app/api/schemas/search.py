"""The search request and its answer."""

from typing import Annotated, Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from app.api.schemas.base import Input, Output, Vector
from app.api.schemas.filters import FilterJson

Mode = Literal["vector", "text", "hybrid"]
KINDS_OF_QUERY = ("text", "vector", "vectors", "image", "audio", "video", "id")
MixedKind = Literal["text", "image", "audio", "video"]
MIXED_KINDS: frozenset[str] = frozenset(get_args(MixedKind))
Weight = Annotated[float, Field(allow_inf_nan=False, ge=-1e6, le=1e6)]
#: Vectors of one query; each costs a search of its own in every shard.
MAX_ROWS = 256


class Media(Input):
    """An image, a sound or a video: its content, the name of a stored blob, or its address."""

    base64: str | None = None
    blob: str | None = Field(None, pattern=r"^sha256:[0-9a-f]{64}$")
    url: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        """Exactly one of the three says where the bytes are."""
        if sum(value is not None for value in (self.base64, self.blob, self.url)) != 1:
            raise ValueError("give exactly one of base64, blob and url")
        return self


class Query(Input):
    """What to look for: one of these, or several of text, image, audio and video, mixed."""

    text: str | None = Field(None, min_length=1)
    vector: Vector | None = None
    vectors: list[Vector] | None = Field(None, min_length=1, max_length=MAX_ROWS)
    image: Media | None = None
    audio: Media | None = None
    video: Media | None = None
    id: str | None = Field(None, min_length=1, description="a stored document: find more like it")
    weights: list[Weight] | dict[MixedKind, Weight] | None = Field(
        None,
        description="of `vectors`, a list; of a mixed query, by kind, such as "
        '{"text": 0.7, "image": 0.3}; 1 each when absent; negative: what is unlike it',
    )

    @model_validator(mode="after")
    def _kinds_that_go_together(self) -> Self:
        """A query is of one kind, or mixed."""
        given = self.kinds
        if len(given) != 1 and (not given or not MIXED_KINDS.issuperset(given)):
            got = " and ".join(given) or "none"
            raise ValueError(
                f"give exactly one of {', '.join(KINDS_OF_QUERY)}, or several of "
                f"{', '.join(sorted(MIXED_KINDS))}; got {got}"
            )
        return self

    @model_validator(mode="after")
    def _weights_that_fit(self) -> Self:
        """Weights are of what is given, and not all nothing."""
        if isinstance(self.weights, list):
            rows = 0 if self.vectors is None else len(self.vectors)
            if len(self.weights) != rows:
                raise ValueError(f"{len(self.weights)} weights were given for {rows} vectors")
        if isinstance(self.weights, dict):
            strange = [kind for kind in self.weights if kind not in self.kinds]
            if strange:
                raise ValueError(f"a weight was given for {strange[0]}, which is not in the query")
            if not any(self.share(kind) for kind in self.kinds):
                raise ValueError("all weights are 0, so nothing is asked for")
        return self

    @property
    def kinds(self) -> tuple[str, ...]:
        """Return the kinds that are given."""
        return tuple(name for name in KINDS_OF_QUERY if getattr(self, name) is not None)

    @property
    def kind(self) -> str:
        """Return the kind that is given, the first of a mixed query."""
        return self.kinds[0]

    @property
    def is_mixed(self) -> bool:
        """Whether several kinds make up the query."""
        return len(self.kinds) > 1

    @property
    def medium(self) -> Media | None:
        """Return the image, sound or video to look for, if it is one."""
        return self.image or self.audio or self.video

    @property
    def media(self) -> dict[str, Media]:
        """Return all images, sounds and videos of the query, by kind."""
        found = {"image": self.image, "audio": self.audio, "video": self.video}
        return {kind: medium for kind, medium in found.items() if medium is not None}

    @property
    def rows(self) -> list[NDArray[np.float32]]:
        """Return the vectors of the query; none when it has to be encoded first."""
        return self.vectors or ([] if self.vector is None else [self.vector])

    @property
    def row_weights(self) -> tuple[float, ...] | None:
        """Return the weights of ``rows``; None: 1 each."""
        return tuple(self.weights) if isinstance(self.weights, list) and self.weights else None

    def share(self, kind: str) -> float:
        """Return how much a kind counts in a mixed query."""
        if not isinstance(self.weights, dict):
            return 1.0
        return next((weight for name, weight in self.weights.items() if name == kind), 1.0)


class Params(Input):
    """How hard the index looks."""

    ef: int | None = Field(None, ge=1, le=10_000, description="HNSW's width of search")
    exact: bool = Field(default=False, description="compare with every vector: slower, and exact")


class SearchOptions(Input):
    """What every kind of search can be told."""

    filter: FilterJson | None = None
    limit: int = Field(10, ge=1, description="documents to return; limit + offset is bounded")
    offset: int = Field(0, ge=0, description="documents to skip")
    group_size: int = Field(3, ge=1, le=100, description="chunks shown of each document")
    score_threshold: float | None = Field(None, allow_inf_nan=False)
    params: Params = Params()
    using: str | None = Field(
        None, min_length=1, description="ask this index alone, by its name or that of its vector"
    )
    with_content: bool = True
    with_vector: bool = Field(default=False, description="show each chunk's vector, as encoded")
    highlight: bool = Field(default=False, description="mark in each chunk what matched")
    explain: bool = Field(default=False, description="add how each score was made up")
    trace: bool = Field(default=False, description="add when each stage began and ended")
    timeout_ms: int | None = Field(None, ge=1, description="the whole search's deadline")
    consistency: Literal["any", "session"] = Field(
        "session", description="session: wait for what the token covers; any: do not"
    )
    token: Annotated[str, Field(pattern=r"^[0-9]{1,18}$")] | None = Field(
        None, description="of a write: the search sees that write and all before it"
    )


class SearchBody(SearchOptions):
    """One search."""

    query: Query
    mode: Mode | None = Field(
        None, description="which indexes are asked; by default all that the flow has"
    )


class BatchBody(Input):
    """Several searches at once."""

    searches: list[SearchBody] = Field(min_length=1, max_length=100)


class RecommendBody(SearchOptions):
    """More like some stored documents, and unlike others."""

    positive: list[str] = Field(min_length=1, max_length=100, description="like these ids")
    negative: list[str] = Field(
        default_factory=list, max_length=100, description="and unlike these"
    )


class ChunkHit(Output):
    """A chunk that made its document a hit."""

    position: int
    score: float
    text: str | None = None
    span: list[float] | None = None
    vector: list[float] | None = None


class Hit(Output):
    """One found document."""

    id: str
    score: float
    content: dict[str, Any] | None = None
    tags: dict[str, Any] | None = None
    chunks: list[ChunkHit]


class Coverage(Output):
    """How much of the collection answered."""

    shards_total: int
    shards_ok: int
    degraded: bool


class SearchResult(Output):
    """The hits, best first; equal scores by id."""

    hits: list[Hit]
    coverage: Coverage
    took_ms: float
    trace: dict[str, Any] | None = None


class BatchResult(Output):
    """One result or one problem a search, in the order of the request."""

    results: list[dict[str, Any]]
