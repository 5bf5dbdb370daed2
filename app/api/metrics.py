"""Metrics in Prometheus's text format: what one API process counts, and what it can ask for.

Labels are bounded: routes are templates, never paths; no id and no query is a label.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.core import CounterMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from app.api.depths import depths
from app.api.house import House, house_of
from app.api.notes import counts_of
from app.api.version import VERSION
from app.dispatch import SearchAnswer
from compose.wire.tallies import Counts
from indexstore.ledger import Ledger

router = APIRouter(tags=["health"])

_SECONDS = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.25, 0.5, 1, 2, 5, 10, 30)
_UNMATCHED = "(none)"


class Metrics:
    """The counters of one API process, in a registry of their own."""

    def __init__(self, collection: str) -> None:
        self.registry = CollectorRegistry()
        self._collection = collection
        self._requests = Counter(
            "gnes_http_requests", "Requests answered.", ["route", "method", "status"],
            registry=self.registry,
        )  # fmt: skip
        self._durations = Histogram(
            "gnes_http_request_duration_seconds", "Time to answer.", ["route", "method"],
            buckets=_SECONDS, registry=self.registry,
        )  # fmt: skip
        self._searches = Histogram(
            "gnes_search_duration_seconds", "Time from dispatch to reply.", ["collection", "phase"],
            buckets=_SECONDS, registry=self.registry,
        ).labels(collection, "total")  # fmt: skip
        self._partial = Counter(
            "gnes_search_partial", "Answers that lack the part of a shard.", registry=self.registry
        )
        self._documents = Counter(
            "gnes_documents", "Documents taken in.", ["collection", "outcome"],
            registry=self.registry,
        )  # fmt: skip
        Info("gnes_build", "The version.", registry=self.registry).info({"version": VERSION})
        self._gauges = _Gauges(self.registry)

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
        if house.opened is not None:
            await self._gauges.read(house)
        return generate_latest(self.registry)


class _Gauges:
    """What is read from ledger, broker and announcements at each scrape."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._documents = Gauge(
            "gnes_collection_documents", "Documents stored.", ["collection", "state"],
            registry=registry,
        )  # fmt: skip
        self._deleted = Gauge(
            "gnes_shard_deleted_ratio", "Share of a shard's rows that are dead.",
            ["index", "shard"], registry=registry,
        )  # fmt: skip
        self._depth = Gauge(
            "gnes_queue_depth", "Messages waiting in a queue.", ["queue"], registry=registry
        )
        self._workers = Gauge(
            "gnes_queue_workers", "Workers alive on a queue.", ["queue"], registry=registry
        )
        self._noted = _Noted()
        registry.register(self._noted)

    async def read(self, house: House) -> None:
        """Set every gauge to its value of now."""
        name = house.plan.collection
        for state, count in (await house.ledger(Ledger.counts_by_state, name)).items():
            self._documents.labels(name, state).set(count)
        self._deleted.clear()
        for shard in _shards(house):
            self._deleted.labels(shard["name"], shard["shard"]).set(shard["deleted_ratio"])
        for queue in house.plan.queues():
            self._workers.labels(queue).set(len(house.dispatch.directory.serving(queue)))
        for queue, depth in (await depths(house)).items():
            self._depth.labels(queue).set(depth)
        self._noted.counts = await counts_of(house)


class _Noted(Collector):
    """What the workers' components counted, as it stood when it was read last."""

    def __init__(self) -> None:
        self.counts: Counts = {}

    def collect(self) -> Iterable[CounterMetricFamily]:
        """Yield one counter."""
        family = CounterMetricFamily(
            "gnes_components_noted", "What components counted.", labels=["stage", "what"]
        )
        for (stage, what), count in self.counts.items():
            family.add_metric([stage, what], count)
        yield family


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=PlainTextResponse,
    responses={200: {"description": "Prometheus's text format"}},
)
async def metrics(request: Request) -> Response:
    """Return the counters of this process and the state of the deployment, as Prometheus reads."""
    house = house_of(request)
    gathered: Metrics = request.app.state.metrics
    return Response(await gathered.render(house), media_type=CONTENT_TYPE_LATEST)


def _route_of(scope: Scope) -> str:
    """Return the template that a request matched, such as ``/v1/jobs/{job_id}``."""
    path = getattr(scope.get("route"), "path", None)
    return path.replace(":path}", "}") if isinstance(path, str) else _UNMATCHED


def _shards(house: House) -> Iterable[Any]:
    """Return what the live workers say of the shards that they have loaded."""
    return (s for w in house.dispatch.workers() for s in w.shards if s["ready"])
