"""The same main job over RabbitMQ: quorum queues for the tasks, Redis for chords and replies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.deployment import deployed, wait_until
from tests.servers.rabbitmq import running_rabbitmq
from tests.servers.valkey import running_valkey

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]


def test_documents_and_queries_pass_through_quorum_queues(tmp_path: Path) -> None:
    """Index, search, delete, and a killed search worker, with tasks on RabbitMQ."""
    for name in ("rabbit", "valkey", "up"):
        (tmp_path / name).mkdir()
    with (
        running_rabbitmq(tmp_path / "rabbit") as broker,
        running_valkey(tmp_path / "valkey") as results,
        deployed(tmp_path / "up", GNES_BROKER_URL=broker, GNES_RESULT_BACKEND=results.url) as it,
    ):
        texts = {"sqrt": "Return the square root of x.", "join": "Join two path components."}
        it.index(*({"id": doc_id, "text": text} for doc_id, text in texts.items()))

        assert it.ids("how to join paths", limit=1) == ["join"]

        it.client.delete(f"/v1/collections/{it.collection}/documents/join")
        assert "join" not in it.ids("how to join paths", limit=5)

        it.kill("search-text-0")
        wait_until(it.is_ready)
        wait_until(lambda: not it.search("square root")["coverage"]["degraded"])
        assert it.ids("square root", limit=1) == ["sqrt"]


def test_what_waits_in_a_queue_is_shown(tmp_path: Path) -> None:
    """Messages that no worker has taken are counted, in the API and for Prometheus."""
    for name in ("rabbit", "valkey", "up"):
        (tmp_path / name).mkdir()
    flow = tmp_path / "flow.yml"
    flow.write_text(
        "name: lengths\nservices:\n- name: Preprocessor\n"
        "- {name: Encoder, uses: Hashing, with: {dim: 16}}\n- {name: Indexer, uses: exact}\n"
    )
    with (
        running_rabbitmq(tmp_path / "rabbit") as broker,
        running_valkey(tmp_path / "valkey") as results,
        deployed(
            tmp_path / "up", flow, GNES_BROKER_URL=broker, GNES_RESULT_BACKEND=results.url
        ) as it,
    ):

        def waiting(queue: str) -> int | None:
            rows = it.client.get("/v1/queues").json()["queues"]
            found: int | None = {row["queue"]: row["waiting"] for row in rows}[queue]
            return found

        assert waiting("encode") == 0
        it.run("scale", "encode=0")
        wait_until(lambda: "encode" not in it.pids())
        it.index({"id": "a", "text": "red roses"}, wait="no")

        wait_until(lambda: waiting("encode") == 1, story=it.story)
        assert 'gnes_queue_depth{queue="encode"} 1.0' in it.client.get("/metrics").text
        it.run("scale", "encode=1")
        wait_until(lambda: waiting("encode") == 0, 60, it.story)
