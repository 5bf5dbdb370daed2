"""The deployment: its collection, workers, shards, flow and limits."""

from typing import Any, Literal

from app.api.schemas.base import Output


class Note(Output):
    """Something that the components of a stage counted, such as texts that they had to cut."""

    stage: str
    what: str
    count: int
    meaning: str


class CollectionResult(Output):
    """The collection of this deployment: named after its flow, made when the flow starts."""

    name: str
    status: Literal["green", "yellow", "red"]
    reasons: list[str]
    fingerprint: str
    generation: int
    shards: int
    documents: dict[str, int]
    notes: list[Note]
    token: str
    created_at: float


class CollectionList(Output):
    """All collections there are."""

    collections: list[CollectionResult]


class WorkerList(Output):
    """Worker processes that announced themselves lately."""

    workers: list[dict[str, Any]]


class ShardList(Output):
    """Every copy of every shard that announced itself lately, and how far it has read."""

    shards: list[dict[str, Any]]


class QueueList(Output):
    """Every queue of the flow, what waits in it, and who works on it."""

    queues: list[dict[str, Any]]


class FlowResult(Output):
    """What the flow file means at run time."""

    collection: str
    fingerprint: str
    stages: list[dict[str, Any]]
    indexes: list[dict[str, Any]]
    queues: dict[str, int]
    yaml: str


class InfoResult(Output):
    """Versions, and the limits of one request."""

    name: str
    version: str
    versions: dict[str, str]
    collection: str
    limits: dict[str, float]


class Readiness(Output):
    """Whether a search would be answered in full now, and if not why."""

    ready: bool
    reasons: list[str]
    checks: dict[str, Any] | None = None


class Liveness(Output):
    """This process runs."""

    status: Literal["ok"]
