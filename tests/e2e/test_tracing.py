"""Spans of a real deployment, as a collector receives them by OTLP over HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from app.supervisor.broker import free_port
from app.tracing import PACKAGES
from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until

pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.http", reason=f"cure: pip install {PACKAGES}"
)

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
STAGES = ["preprocess", "encode", "search", "reduce"]


class Collector:
    """A collector that keeps every span that is sent to it."""

    def __init__(self, port: int) -> None:
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

        self.server = ThreadingHTTPServer(("127.0.0.1", port), Handler)

    def take(self, path: str, body: bytes) -> None:
        """Keep what one request brought."""
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (  # noqa: PLC0415 - optional
            ExportTraceServiceRequest,
        )

        self.paths.add(path)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.services.add(attributes_of(resource.resource)["service.name"])
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)

    def named(self, name: str) -> list[Any]:
        """Return the spans of this name."""
        return [span for span in self.spans if span.name == name]


@contextmanager
def collecting() -> Iterator[tuple[Collector, str]]:
    """Run a collector in a thread for the length of the block."""
    port = free_port()
    collector = Collector(port)
    thread = Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector, f"http://127.0.0.1:{port}"
    finally:
        collector.server.shutdown()
        thread.join()


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


def test_a_search_is_a_span_with_its_stages_below_it(tmp_path: Path) -> None:
    """A collector gets the request under the caller's span, and its stages in order within it."""
    with (
        collecting() as (collector, endpoint),
        deployed(
            tmp_path,
            OTEL_EXPORTER_OTLP_ENDPOINT=endpoint + "/",
            OTEL_BSP_SCHEDULE_DELAY="100",
            OTEL_SERVICE_NAME="library",
        ) as it,
    ):
        it.index({"id": "a", "text": "A whale swims in the sea."})
        answer = search(it, "whale", traceparent=f"00-{TRACE}-{CALLER}-01")
        it.client.get(f"/v1/collections/{it.collection}/documents/nobody")
        wait_until(lambda: bool(collector.named("reduce")), 10, it.story)
        wait_until(lambda: len(collector.named("POST /v1/collections/{collection}/search")) > 0, 10)

        (request,) = collector.named("POST /v1/collections/{collection}/search")
        assert (request.trace_id.hex(), request.parent_span_id.hex()) == (TRACE, CALLER)
        assert attributes_of(request)["http.response.status_code"] == 200
        below = [span for span in collector.spans if span.parent_span_id == request.span_id]
        assert [span.name for span in below] == STAGES
        assert {span.trace_id for span in below} == {request.trace_id}
        edges = [
            edge for span in below for edge in (span.start_time_unix_nano, span.end_time_unix_nano)
        ]
        assert edges == sorted(edges)
        assert request.start_time_unix_nano <= edges[0]
        assert edges[-1] <= request.end_time_unix_nano
        for span, stage in zip(below, answer["trace"]["stages"], strict=True):
            told = attributes_of(span)
            assert told["gnes.work_ms"] == pytest.approx(stage["work_ms"], abs=0.001)
            assert told["gnes.queue_ms"] == pytest.approx(stage["queue_ms"], abs=0.001)
        assert (collector.services, collector.paths) == ({"library"}, {"/v1/traces"})
        assert not [span for span in collector.spans if "readyz" in span.name]


def test_a_collector_that_is_away_costs_no_request_and_no_stop(tmp_path: Path) -> None:
    """Searches answer as fast as ever, and the deployment stops in good time."""
    nobody = f"http://127.0.0.1:{free_port()}"
    with deployed(
        tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=nobody, OTEL_BSP_SCHEDULE_DELAY="100"
    ) as it:
        it.index({"id": "a", "text": "A whale swims in the sea."})
        answers = [search(it, "whale") for _ in range(20)]
        began = time.monotonic()
        status = it.stop()

        assert all(answer["hits"][0]["id"] == "a" for answer in answers)
        assert sorted(answer["took_ms"] for answer in answers)[10] < 200
        assert status == 0
        assert time.monotonic() - began < 15


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
