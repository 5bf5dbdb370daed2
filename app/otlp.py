"""The sender of spans, on OpenTelemetry's SDK: imported only where an endpoint is given."""

from threading import Timer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_PATH = "/v1/traces"
#: What a collector that does not answer may delay the end of a process.
_LAST_S = 2.0


def sending_to(endpoint: str) -> TracerProvider:
    """Return a provider whose spans go to a collector, in batches, by a thread of its own."""
    named = Resource({"service.name": "gnes"})
    resource = Resource.create().merge(named).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(_Batches(OTLPSpanExporter(endpoint.rstrip("/") + _PATH)))
    return provider


class _Batches(BatchSpanProcessor):
    """Batches of spans; the last one is not tried for as long as those before."""

    def __init__(self, exporter: OTLPSpanExporter) -> None:
        super().__init__(exporter)
        self._last = Timer(_LAST_S, exporter.shutdown)

    def shutdown(self) -> None:
        """Send what is left, or give it up."""
        self._last.start()
        super().shutdown()  # type: ignore[no-untyped-call]  # the SDK leaves it untyped
        self._last.cancel()
