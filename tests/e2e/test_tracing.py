"""Spans of a real deployment, as a collector receives them by OTLP over HTTP."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from app.supervisor.broker import free_port
from app.tracing import PACKAGES
from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until

FLOW = """\
name: tracing
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Hashing, with: {dim: 32}}
  - {name: Indexer, uses: exact, shards: 2}
"""
SEARCH = "POST /v1/collections/{collection}/search"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
STAGES = ["preprocess", "encode", "search", "reduce"]


class Collector:
    """A collector that keeps every span that is sent to it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self.paths: set[str] = set()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.take(self.path, self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Answer nobody any more; twice is once."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, body: bytes) -> None:
        """Keep what one request brought."""
        self.paths.add(path)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(attributes_of(resource.resource)["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str) -> list[Any]:
        """Return the spans of this name."""
        return [span for span in self.spans if span.name == name]

    def of_trace(self, trace: str, name: str) -> list[Any]:
        """Return the spans of a trace that have this name."""
        return [span for span in self.named(name) if span.trace_id.hex() == trace]


def attributes_of(it: Any) -> dict[str, Any]:
    """Return the attributes of a span or resource as plain values."""
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in it.attributes}


def search(it: Deployment, text: str, **headers: str) -> dict[str, Any]:
    """Search with headers of our own, asking for the trace as well."""
    answer = it.client.post(
        f"/v1/collections/{it.collection}/search",
        json={"query": {"text": text}, "trace": True},
        headers=headers,
    )
    answer.raise_for_status()
    return dict(answer.json())


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Run a collector in a thread."""
    made = Collector(free_port())
    yield made
    made.close()


@pytest.fixture(scope="module")
def it(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a light flow with one document in it that tells the collector what it does."""
    folder = tmp_path_factory.mktemp("tracing")
    path = folder / "flow.yml"
    path.write_text(FLOW)
    with deployed(
        folder,
        path,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"{collector.url}/",
        OTEL_BSP_SCHEDULE_DELAY="100",
        OTEL_SERVICE_NAME="library",
    ) as made:
        made.index({"id": "a", "text": "A whale swims in the sea."})
        yield made


def test_a_search_is_a_span_with_its_stages_below_it(it: Deployment, collector: Collector) -> None:
    """A collector gets the request under the caller's span, and its stages in order within it."""
    answer = search(it, "whale", traceparent=f"00-{TRACE}-{CALLER}-01")

    (request,) = wait_until(lambda: collector.of_trace(TRACE, SEARCH), 10, it.story)
    assert request.parent_span_id.hex() == CALLER
    assert attributes_of(request)["http.response.status_code"] == 200
    below = [span for span in collector.spans if span.parent_span_id == request.span_id]
    assert [span.name for span in below] == STAGES
    assert {span.trace_id for span in below} == {request.trace_id}
    edges = [e for span in below for e in (span.start_time_unix_nano, span.end_time_unix_nano)]
    assert edges == sorted(edges)
    assert request.start_time_unix_nano <= edges[0]
    assert edges[-1] <= request.end_time_unix_nano
    for span, stage in zip(below, answer["trace"]["stages"], strict=True):
        told = attributes_of(span)
        assert told["gnes.work_ms"] == pytest.approx(stage["work_ms"], abs=0.001)
        assert told["gnes.queue_ms"] == pytest.approx(stage["queue_ms"], abs=0.001)


def test_requests_have_the_names_of_their_routes(it: Deployment, collector: Collector) -> None:
    """No id is in a name, a problem is told, a probe is no span, the operator names the service."""
    answer = it.client.get(f"/v1/collections/{it.collection}/documents/nobody")

    route = "GET /v1/collections/{collection}/documents/{doc_id}"
    (request,) = wait_until(lambda: collector.named(route), 10, it.story)
    told = attributes_of(request)
    assert told["http.response.status_code"] == 404
    assert told["gnes.problem"] == answer.json()["code"]
    assert told["gnes.request_id"] == answer.headers["x-request-id"]
    assert not [span for span in collector.spans if "readyz" in span.name]
    assert (collector.services, collector.paths) == ({"library"}, {"/v1/traces"})


def test_a_collector_that_goes_costs_no_request_and_no_stop(
    it: Deployment, collector: Collector
) -> None:
    """Searches answer as before, and the deployment stops in good time."""
    before = [search(it, "whale")["took_ms"] for _ in range(20)]
    collector.close()

    answers = [search(it, "whale") for _ in range(20)]
    began = time.monotonic()
    status = it.stop()

    assert time.monotonic() - began < 12  # of which two may be a last try
    assert status == 0
    assert all(answer["hits"][0]["id"] == "a" for answer in answers)
    after = [answer["took_ms"] for answer in answers]
    assert statistics.median(after) < 3 * statistics.median(before) + 20


def test_a_start_without_the_packages_names_the_cure(tmp_path: Path) -> None:
    """With an endpoint and no SDK, ``gnes up`` ends at once and says what to install."""
    hide = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; from app.cli.main import main; main()"
    )
    it = Deployment(
        tmp_path, ROOT / "flows" / "text.yml", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
    )

    ended = subprocess.run(
        [sys.executable, "-c", hide, "up", "--data-dir", str(tmp_path / "d"), "--port",
         str(it.port)],
        cwd=ROOT, env=it.environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert ended.returncode != 0
    assert f"pip install {PACKAGES}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_cure_is_what_the_requirements_pin() -> None:
    """The error names the versions of requirements.txt."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pinned = {line.split("#")[0].strip() for line in lines}

    assert set(PACKAGES.split()) <= pinned
