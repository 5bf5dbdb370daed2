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


def test_counters_of_two_api_processes_are_one(tmp_path: Path) -> None:
    """Every scrape counts every request, also those of a process that has died since."""
    path = tmp_path / "flow.yml"
    path.write_text(FLOW)
    with deployed(tmp_path, path, GNES_API_PROCESSES="2") as it:
        url = f"{it.url}/v1/collections/{it.collection}/search"
        for number in range(SEARCHES):  # a connection each, so that both get some
            httpx2.post(url, json={"query": {"text": f"question {number}"}}).raise_for_status()
        counts = Path(DataFolder(it.folder / "d").state().scratch) / "metrics"
        processes = {int(file.stem.rpartition("_")[2]) for file in counts.glob("counter_*.db")}

        assert len(processes) == 2
        assert {counted(it) for _ in range(8)} == {SEARCHES}

        os.kill(min(processes), signal.SIGKILL)
        wait_until(lambda: len(list(counts.glob("counter_*.db"))) == 3, story=it.story)
        wait_until(it.is_ready)
        assert {counted(it) for _ in range(8)} == {SEARCHES}
        assert 'gnes_queue_workers{queue="encode"} 1.0' in httpx2.get(f"{it.url}/metrics").text
