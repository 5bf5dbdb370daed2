"""Metrics in Prometheus's text format: what the API counts, and what it can ask for.

Labels are bounded: routes are templates, never paths; no id and no query is a label.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from app.api.house import House, house_of
from app.api.notes import counts_of
from app.api.version import VERSION
from app.dispatch import SearchAnswer
from indexstore.ledger import Ledger

router = APIRouter(tags=["health"])

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 5, 10, 30)
_UNMATCHED = "(none)"


class Metrics:
    """The counters of one API process; of all that share its port, where they share a folder.

    Several processes behind one port take turns in answering Prometheus, so each must know what the
    others have counted: prometheus_client keeps it in mapped files then.
    """

    def __init__(self, collection: str, folder: Path | None = None) -> None:
        self._registry = CollectorRegistry()
        self._collection, self._folder = collection, folder
        self._requests = Counter(
            "gnes_http_requests", "Requests answered.", ["route", "method", "status"],
            registry=self._registry,
        )  # fmt: skip
        self._durations = Histogram(
            "gnes_http_request_duration_seconds", "Time to answer.", ["route", "method"],
            buckets=_SECONDS, registry=self._registry,
        )  # fmt: skip
        self._searches = Histogram(
            "gnes_search_duration_seconds", "Time from dispatch to reply.", ["collection", "phase"],
            buckets=_SECONDS, registry=self._registry,
        ).labels(collection, "total")  # fmt: skip
        self._partial = Counter(
            "gnes_search_partial", "Answers that lack the part of a shard.", registry=self._registry
        )
        self._documents = Counter(
            "gnes_documents", "Documents taken in.", ["collection", "outcome"],
            registry=self._registry,
        )  # fmt: skip

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Count one answered request."""
        route, method = _route_of(scope), scope["method"]
        self._requests.labels(route, method, status).inc()
        self._durations.labels(route, method).observe(seconds)

    def searched(self, found: SearchAnswer) -> None:
        """Count one answered search."""
        self._searches.observe(found.took_ms / 1e3)
        if found.coverage["degraded"]:
            self._partial.inc()

    def took_in(self, *, accepted: int, refused: int) -> None:
        """Count the documents of one write."""
        self._documents.labels(self._collection, "accepted").inc(accepted)
        self._documents.labels(self._collection, "refused").inc(refused)

    async def render(self, house: House) -> bytes:
        """Return all metrics as text, the gauges read now."""
        state = CollectorRegistry()
        state.register(_State(await _state(house) if house.opened is not None else []))
        return generate_latest(self._counted()) + generate_latest(state)

    def _counted(self) -> CollectorRegistry:
        if self._folder is None:
            return self._registry
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all, path=str(self._folder))  # type: ignore[no-untyped-call]
        return of_all


class _State(Collector):
    """Gauges that were read for one scrape."""

    def __init__(self, gauges: Iterable[Metric]) -> None:
        version = InfoMetricFamily("gnes_build", "The version.", {"version": VERSION})
        self._gauges = [version, *gauges]

    def collect(self) -> Iterable[Metric]:
        """Return them."""
        return self._gauges


async def _state(house: House) -> list[Metric]:
    """Read ledger, broker and announcements; the same whichever API process answers."""
    name, queues = house.plan.collection, house.dispatch.widest_plan.queues()
    counts = await house.ledger(Ledger.counts_by_state, name)
    serving = {queue: len(house.dispatch.directory.serving(queue)) for queue in queues}
    waiting = await house.dispatch.depths.read(queues)
    ages = await house.dispatch.depths.ages(queues)
    return [
        _gauge("gnes_collection_documents", "Documents stored.", ["collection", "state"],
               {(name, state): count for state, count in counts.items()}),
        _gauge("gnes_shard_deleted_ratio", "Share of a shard's rows that are dead.",
               ["index", "shard"],
               {(one["name"], str(one["shard"])): one["deleted_ratio"] for one in _shards(house)}),
        _gauge("gnes_queue_depth", "Messages waiting in a queue.", ["queue"],
               {(queue,): depth for queue, depth in waiting.items()}),
        _gauge("gnes_queue_oldest_age_seconds", "Time the oldest message has waited.", ["queue"],
               {(queue,): age for queue, age in ages.items()}),
        _gauge("gnes_queue_workers", "Workers alive on a queue.", ["queue"],
               {(queue,): number for queue, number in serving.items()}),
        await _noted(house),
    ]  # fmt: skip


async def _noted(house: House) -> CounterMetricFamily:
    """Return what the workers' components counted."""
    family = CounterMetricFamily(
        "gnes_components_noted", "What components counted.", labels=["stage", "what"]
    )
    for key, count in (await counts_of(house)).items():
        family.add_metric(key, count)
    return family


def _gauge(
    name: str, doc: str, labels: list[str], values: Mapping[tuple[str, ...], float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, doc, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus's text format"}},
)
async def metrics(request: Request) -> Response:
    """Return the API's counters and the state of the deployment, as Prometheus reads them."""
    house = house_of(request)
    gathered: Metrics = request.app.state.metrics
    return Response(await gathered.render(house), media_type=CONTENT_TYPE_LATEST)


def _route_of(scope: Scope) -> str:
    """Return the template that a request matched, such as ``/v1/jobs/{job_id}``."""
    path = getattr(scope.get("route"), "path", None)
    return path.replace(":path}", "}") if isinstance(path, str) else _UNMATCHED


def _shards(house: House) -> Iterable[Any]:
    """Return what the live workers say of the shards that they have loaded."""
    rows = (shard for worker in house.dispatch.workers() for shard in worker.shards)
    return (shard for shard in rows if shard["ready"] and shard["serves"])
