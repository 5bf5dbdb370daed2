"""The sender of spans, on OpenTelemetry's SDK: imported only where an endpoint is given."""

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

_PATH = "/v1/traces"


def sending_to(endpoint: str) -> TracerProvider:
    """Return a provider whose spans go to a collector, in batches, by a thread of its own."""
    named = Resource({"service.name": "gnes"})
    resource = Resource.create().merge(named).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint.rstrip("/") + _PATH)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
