"""What a worker counts for Prometheus: how long messages wait, how long work takes, how it ends.

Where ``PROMETHEUS_MULTIPROC_DIR`` is set, as under ``gnes up``, prometheus_client keeps the counts
in mapped files there and the API shows those of all processes; elsewhere ``GNES_METRICS_PORT`` lets
each worker be asked by itself. Labels are bounded: never an id, never a query.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from prometheus_client import Counter, Histogram, start_http_server

from compose.wire import names
from compose.wire.chords import SENT_AT

logger = logging.getLogger(__name__)

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 5, 10, 30, 120)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
#: Stage and kind of work by task.
_KINDS: Final = {
    names.PREPROCESS_QUERY: ("preprocess", "query"),
    names.PREPROCESS_DOCUMENTS: ("preprocess", "documents"),
    names.ENCODE_QUERY: ("encode", "query"),
    names.ENCODE_DOCUMENTS: ("encode", "documents"),
    names.SEARCH: ("search", "query"),
    names.INSPECT: ("search", "inspection"),
    names.REDUCE: ("reduce", "query"),
    names.GATHER: ("reduce", "inspection"),
    names.FETCH: ("fetch", "documents"),
    names.FETCH_MEDIUM: ("fetch", "query"),
    names.PREVIEW: ("preview", "medium"),
    names.INDEX: ("index", "documents"),
    names.FINISH: ("index", "window"),
    names.BUILD: ("build", "segment"),
    names.TRAIN: ("build", "training"),
    names.SNAPSHOT: ("build", "snapshot"),
    names.RESTORE: ("build", "restore"),
}

_LABELS = ("stage", "kind")
_this = threading.local()
_waits = Histogram(
    "gnes_stage_queue_seconds", "Time a message waited for a worker.", _LABELS, buckets=_SECONDS
)
_durations = Histogram(
    "gnes_stage_duration_seconds", "Time a task was at work.", _LABELS, buckets=_SECONDS
)
_tasks = Counter("gnes_stage_tasks", "Tasks done, by how they ended.", (*_LABELS, "outcome"))
_sizes = Histogram(
    "gnes_batch_size", "Queries or documents in one task.", ("stage",), buckets=_SIZES
)
_cache = Counter(
    "gnes_embedding_cache_hits", "Documents whose embeddings were known.", ("collection",)
)
_searchable = Histogram(
    "gnes_document_time_to_searchable_seconds",
    "Time from acceptance to the log, which shards read within milliseconds.",
    ("collection",),
    buckets=(0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 1800),
)


def waited(task: Any, now: float) -> None:
    """Note how long the message of a Celery task that begins ``now`` had waited."""
    sent_at = getattr(task.request, SENT_AT, None)
    if isinstance(sent_at, float):
        _waits.labels(*_kind(task.name)).observe(max(0.0, now - sent_at))


def worked(task_name: str, seconds: float, *, failed: bool) -> None:
    """Note how long a task took and how it ended."""
    kind = _kind(task_name)
    _durations.labels(*kind).observe(seconds)
    _tasks.labels(*kind, "failed" if failed else "ok").inc()


def fail() -> None:
    """Say that the task at work in this thread fails: ours answer for it instead of raising."""
    _this.failed = True


def has_failed() -> bool:
    """Tell whether the task that ends in this thread said that it failed, and forget it."""
    failed = getattr(_this, "failed", False)
    _this.failed = False
    return failed


def batch(stage: str, size: int) -> None:
    """Note how many queries or documents one task held."""
    _sizes.labels(stage).observe(size)


def known(collection: str, documents: int) -> None:
    """Note how many documents need no encoding, as their content was encoded before."""
    _cache.labels(collection).inc(documents)


def searchable(collection: str, seconds: float) -> None:
    """Note how long a document was under way."""
    _searchable.labels(collection).observe(seconds)


def serve(port: int) -> None:
    """Answer Prometheus on a port of this worker's own."""
    start_http_server(port)
    logger.info("metrics on port %d", port)


def _kind(task_name: str) -> tuple[str, str]:
    return _KINDS.get(task_name, (task_name.removeprefix("gnes."), "other"))
