"""Prometheus sees the whole API, however many processes it has."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import httpx2
import pytest

from app.supervisor.deployment import DataFolder
from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

FLOW = """\
name: counted
services:
  - {name: Preprocessor}
  - {name: Encoder, uses: Hashing, with: {dim: 16}}
  - {name: Indexer, uses: exact}
"""
SEARCHES = 40
_COUNT = re.compile(
    r'gnes_http_requests_total\{.*"/v1/collections/\{collection\}/search".*\} (\S+)'
)


def counted(it: Deployment) -> float:
    """Return how many searches one scrape tells of; each scrape asks whichever process is free."""
    found = _COUNT.search(httpx2.get(f"{it.url}/metrics").text)
    return float(found.group(1)) if found else 0.0


def test_every_stage_tells_how_long_it_waited_and_worked(tmp_path: Path) -> None:
    """Workers count beside the API: queries and documents apart, what failed, what was known."""
    path = tmp_path / "flow.yml"
    path.write_text(FLOW)
    documents = [{"id": f"d{n}", "text": f"A loaf of bread, number {n}."} for n in range(8)]
    with deployed(tmp_path, path) as it:
        it.index(*documents)
        it.index(*({**one, "id": f"again-{one['id']}"} for one in documents))
        it.search("bread")
        told = wait_until(lambda: _told(it))

    for stage in ("preprocess", "encode", "search", "reduce"):
        assert told[f'gnes_stage_tasks_total{{kind="query",outcome="ok",stage="{stage}"}}'] >= 1
        assert told[f'gnes_stage_queue_seconds_count{{kind="query",stage="{stage}"}}'] >= 1
        assert told[f'gnes_stage_duration_seconds_sum{{kind="query",stage="{stage}"}}'] > 0
    assert told['gnes_batch_size_sum{stage="index"}'] == 16
    assert told['gnes_document_time_to_searchable_seconds_count{collection="counted"}'] == 16
    assert told['gnes_embedding_cache_hits_total{collection="counted"}'] == 8
    assert told['gnes_queue_oldest_age_seconds{queue="encode"}'] == 0


def _told(it: Deployment) -> dict[str, float] | None:
    """Return every sample of a scrape, once the searches' own are among them."""
    lines = httpx2.get(f"{it.url}/metrics").text.splitlines()
    samples = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    told = {name: float(value) for name, value in samples.items()}
    done = 'gnes_stage_tasks_total{kind="query",outcome="ok",stage="reduce"}'
    return told if told.get(done) else None


def test_counters_of_two_api_processes_are_one(tmp_path: Path) -> None:
    """Every scrape counts every request, also those of a process that has died since."""
    path = tmp_path / "flow.yml"
    path.write_text(FLOW)
    with deployed(tmp_path, path, GNES_API_PROCESSES="2") as it:
        url = f"{it.url}/v1/collections/{it.collection}/search"
        for number in range(SEARCHES):  # a connection each, so that both get some
            httpx2.post(url, json={"query": {"text": f"question {number}"}}).raise_for_status()
        counts = Path(DataFolder(it.folder / "d").state().scratch) / "metrics"

        processes = counting_requests(counts)
        assert len(processes) == 2
        assert {counted(it) for _ in range(8)} == {SEARCHES}

        os.kill(min(processes), signal.SIGKILL)
        wait_until(lambda: ask_for_queues(it) and len(counting_requests(counts)) == 3)
        assert {counted(it) for _ in range(8)} == {SEARCHES}
        assert 'gnes_queue_workers{queue="encode"} 1.0' in httpx2.get(f"{it.url}/metrics").text


def ask_for_queues(it: Deployment) -> bool:
    """Let one of the API's processes, whichever takes the connection, count a request."""
    return httpx2.get(f"{it.url}/v1/queues").is_success


def counting_requests(counts: Path) -> set[int]:
    """Return the ids of the processes, dead ones too, that have counted a request."""
    return {
        int(file.stem.rpartition("_")[2])
        for file in counts.glob("counter_*.db")
        if b"gnes_http_requests" in file.read_bytes()
    }
