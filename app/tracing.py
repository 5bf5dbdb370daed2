"""Spans for OpenTelemetry: one a request, made by FastAPI, and below it one a stage of a search.

How long each stage took stands in the workers' replies; so neither they nor their messages know of
any tracing, and who asks for none pays for none.
"""

import time
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from indexstore.errors import MissingPackageError

if TYPE_CHECKING:  # the command line needs no FastAPI
    from fastapi.telemetry import TelemetryConfig

PACKAGES = "opentelemetry-sdk==1.45.2 opentelemetry-exporter-otlp-proto-http==1.45.2"
#: What probes and scrapers ask every few seconds.
UNTRACED = frozenset({"/healthz", "/livez", "/readyz", "/metrics"})
_SECOND = 10**9  # nanoseconds


class Tracing:
    """The way of one API process's spans to a collector, by OTLP over HTTP.

    Sampling, headers, the service's name and all else are OpenTelemetry's own variables
    (``OTEL_TRACES_SAMPLER``, ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``). A collector
    that is away costs its spans and no request.

    Args:
        endpoint: of the collector, such as ``http://127.0.0.1:4318``; None leaves it to whatever
            has set OpenTelemetry up in this process, which is nothing as a rule.

    Raises:
        MissingPackageError: an endpoint is given, and the packages that send there are missing.
    """

    def __init__(self, endpoint: str | None) -> None:
        self._own = _sender().sending_to(endpoint) if endpoint else None
        self._tracer = trace.get_tracer("gnes", tracer_provider=self._own)

    def telemetry(self) -> "TelemetryConfig":
        """Return what FastAPI shall do about it: spans of requests alone; metrics are ours."""
        return {
            "tracer_provider": self._own,
            "metrics": False,
            "logs": False,
            "operation_spans": False,
            "auto_configure": False,
            "exclude": lambda scope: scope.get("path") in UNTRACED,
        }

    def searched(self, stages: Sequence[tuple[str, float, float]]) -> None:
        """Add the stages of a search that was answered just now, the last of them ending now.

        Args:
            stages: name, seconds in its queue and seconds of work of each, one after the other.
        """
        if not trace.get_current_span().is_recording():
            return
        began = time.time_ns() - sum(_ns(queued) + _ns(worked) for _, queued, worked in stages)
        for name, queued, worked in stages:
            span = self._tracer.start_span(
                name,
                start_time=began,
                attributes={"gnes.queue_ms": 1e3 * queued, "gnes.work_ms": 1e3 * worked},
            )
            span.add_event("taken from the queue", timestamp=began + _ns(queued))
            began += _ns(queued) + _ns(worked)
            span.end(began)

    def close(self) -> None:
        """Send what is left; this takes seconds where the collector does not answer."""
        if self._own is not None:
            self._own.shutdown()


def name_request(method: str, route: str) -> None:
    """Name the span of the request in hand, where FastAPI does not route it."""
    span = trace.get_current_span()
    if span.is_recording():
        span.update_name(f"{method} {route}")
        span.set_attribute("http.route", route)


def note_problem(code: str, *, request_id: str, members: Mapping[str, Any]) -> None:
    """Say on the span of the request in hand why it got no answer, and which stage it was."""
    span = trace.get_current_span()
    if span.is_recording():
        told = {"problem": code, "request_id": request_id}
        told |= {name: members[name] for name in ("stage", "queue") if name in members}
        span.set_attributes({f"gnes.{name}": value for name, value in told.items()})


def check(endpoint: str | None) -> None:
    """Look whether spans could be sent, as early as whoever started it still listens.

    Raises:
        MissingPackageError: not without these packages.
    """
    if endpoint:
        _sender()


def _sender() -> Any:
    """Return the module that needs the optional packages."""
    try:
        return import_module("app.otlp")
    except ImportError as error:
        raise MissingPackageError(PACKAGES, "OTEL_EXPORTER_OTLP_ENDPOINT") from error


def _ns(seconds: float) -> int:
    return int(seconds * _SECOND)
