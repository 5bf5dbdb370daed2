"""Fresh rows are bounded: somebody always builds them, and beyond the bound writes must wait."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.chaos.bed import FLOW
from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]


def documents(count: int, prefix: str = "d") -> list[dict[str, Any]]:
    """Return documents of one chunk each."""
    return [{"id": f"{prefix}{n}", "text": f"Loaf number {n}"} for n in range(count)]


def shards(it: Deployment) -> list[dict[str, Any]]:
    """Return what the search workers say of their shards."""
    found = it.client.get("/v1/shards").json()["shards"]
    return [replica for shard in found for replica in shard["replicas"]]


def test_without_a_build_worker_the_index_workers_build(tmp_path: Path) -> None:
    """Ten seconds after the last one is gone; nothing is missing from answers meanwhile."""
    with deployed(tmp_path, FLOW, GNES_BUILD_ROWS="60") as it:
        assert it.run("scale", "build=0").returncode == 0
        it.index(*documents(200))
        assert all(one["segments"] == 0 for one in shards(it))

        wait_until(lambda: all(one["segments"] for one in shards(it)), 60, it.story)

        assert it.is_ready()
        assert len(it.ids("loaf", limit=1000)) == 200


def test_beyond_the_bound_the_collection_is_yellow_and_then_writes_must_wait(
    tmp_path: Path,
) -> None:
    """429 with Retry-After, naming the queue and the cure; deletes and searches go on."""
    settings = {"GNES_BUILD_ROWS": "100000", "GNES_MOST_FRESH_ROWS": "40"}
    with deployed(tmp_path, FLOW, **settings) as it:
        path = f"/v1/collections/{it.collection}"
        it.index(*documents(60))
        green = it.client.get(path).json()
        it.index(*documents(60, "e"))
        yellow = wait_until(lambda: _not_green(it))
        it.index(*documents(100, "f"))
        wait_until(lambda: all(one["delta_rows"] > 80 for one in shards(it)))

        refused = wait_until(lambda: _refused(it), 10)

        assert green["status"] == "green"
        assert yellow["status"] == "yellow"
        assert "-Q build" in yellow["reasons"][0]
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (429, "backlog")
        assert int(refused.headers["retry-after"]) >= 1
        assert "-Q build" in problem["detail"]
        assert it.is_ready()
        assert it.client.delete(f"{path}/documents/d1").status_code == 200
        assert len(it.ids("loaf", limit=1000)) == 219


def _not_green(it: Deployment) -> Any:
    """Return the collection once it is not green any more."""
    found = it.client.get(f"/v1/collections/{it.collection}").json()
    return None if found["status"] == "green" else found


def _refused(it: Deployment) -> Any:
    """Write, and return the answer when it is a refusal."""
    path = f"/v1/collections/{it.collection}/documents"
    answer = it.client.post(path, json=[{"id": "d0", "text": "Loaf number 0"}])
    return answer if answer.status_code == 429 else None
