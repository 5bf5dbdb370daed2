"""Jobs: the writes that were accepted, and how far they have come."""

from typing import Literal

from app.api.schemas.base import Output


class JobResult(Output):
    """One job; ``counts`` says how many of its documents are in which state."""

    id: str
    collection: str
    kind: str
    state: Literal["pending", "running", "completed", "partial", "failed", "cancelled"]
    total: int
    counts: dict[str, int]
    token: str
    error: str | None
    created_at: float
    finished_at: float | None
    progress: float
    eta_s: float | None


class Refused(Output):
    """A document that could not be learnt from, by its place in the request."""

    index: int
    reason: str


class TrainingResult(JobResult):
    """The job of a training, and which documents it does without."""

    refused: list[Refused]


class SnapshotResult(Output):
    """A snapshot: what it holds, and the fingerprint of the flow that encoded it."""

    name: str
    collection: str
    fingerprint: str
    documents: int
    encoded: int
    media: int
    size_bytes: int
    created_at: float
    format: int


class SnapshotList(Output):
    """Snapshots, newest first; of ``damaged`` ones the manifest cannot be read."""

    snapshots: list[SnapshotResult]
    damaged: list[str]


class SnapshotDeleted(Output):
    """A snapshot that was deleted; its size, where its manifest could be read."""

    name: str
    size_bytes: int | None


class JobPage(Output):
    """Jobs, newest first."""

    jobs: list[JobResult]
    cursor: str | None


class JobDocument(Output):
    """A document of a job and what became of it."""

    id: str
    status: str
    version: int
    attempts: int
    error: str | None


class JobDocumentPage(Output):
    """Documents of a job."""

    documents: list[JobDocument]
    cursor: str | None


class ReplayResult(Output):
    """Which documents are queued again."""

    queued: list[str]
