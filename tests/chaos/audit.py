"""After a crash: wait until the deployment has recovered, then compare it with the model."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

import httpx2

from app.supervisor.deployment import DataFolder
from tests.chaos.model import Model
from tests.e2e.deployment import Deployment

RECOVERY_S = 60.0
ALL = 1000
SEEN_MS = 5000  # until a search sees all that was acknowledged


class RecoveryError(AssertionError):
    """The deployment did not come back to rest."""


def recover(
    it: Deployment, *, patience_s: float = RECOVERY_S, sees_processes: bool = True
) -> tuple[float, str]:
    """Wait until it is ready and no job is open; return how long that took, and for what.

    Args:
        it: the deployment.
        patience_s: how long that may take.
        sees_processes: compare the processes with those announced; needs its folder.

    Raises:
        RecoveryError: it did not in time.
    """
    started = time.monotonic()
    why = "nothing"
    while time.monotonic() - started < patience_s:
        now = _unrest(it, sees_processes=sees_processes)
        if not now:
            return time.monotonic() - started, why
        why = now
        time.sleep(0.1)
    raise RecoveryError(f"not at rest after {patience_s:.0f} s: {why}")


def _unrest(it: Deployment, *, sees_processes: bool) -> str:
    try:
        if not it.is_ready():
            return str(it.client.get("/readyz").text)
        if sees_processes and (missing := _missing(it)):
            return f"processes that have not announced themselves: {missing}"
        running = it.client.get("/v1/jobs", params={"state": "running"}).json()["jobs"]
    except (OSError, httpx2.HTTPError) as error:
        return f"{type(error).__name__}: {error}"
    return f"open jobs: {running[:3]}" if running else ""


def _missing(it: Deployment) -> list[str]:
    """Return the processes that do not run, or are not yet at work again."""
    announced = {worker["pid"] for worker in it.client.get("/v1/workers").json()["workers"]}
    return [
        process.name
        for process in DataFolder(it.folder / "d").state().processes
        if process.pid is None or (process.queue and process.pid not in announced)
    ]


def audit(it: Deployment, models: Iterable[Model], *, all_ids: bool) -> list[str]:
    """Return everything in which the deployment differs from the models."""
    faults: list[str] = []
    expected: dict[str, Any] = {}
    for model in models:
        ids = set(model.states) | model.touched if all_ids else set(model.touched)
        found = {doc_id: _get(it, doc_id) for doc_id in sorted(ids)}
        faults += model.resolve(found)
        for doc_id, document in found.items():
            faults += _differs(doc_id, model.states.get(doc_id), document, "GET")
        expected |= {i: state for i, state in model.states.items() if state is not None}
        model.touched.clear()
    for exact in (True, False):
        faults += _compare_searched(it, expected, exact=exact)
    faults += _compare_shards(it, len(expected))
    return faults


def _get(it: Deployment, doc_id: str) -> dict[str, Any] | None:
    response = it.client.get(f"/v1/collections/{it.collection}/documents/{doc_id}")
    if response.status_code == 404:
        return None
    response.raise_for_status()
    return dict(response.json())


def _differs(doc_id: str, wanted: Any, found: Mapping[str, Any] | None, where: str) -> list[str]:
    if wanted is None or found is None:
        same = wanted is None and found is None
    else:
        same = wanted.is_seen_in(found)
    return [] if same else [f"{where} {doc_id}: expected {wanted}, found {found}"]


def _compare_searched(it: Deployment, expected: Mapping[str, Any], *, exact: bool) -> list[str]:
    """Compare what one search for everything shows: each document once, newest, none deleted.

    It asks by the newest token: without one, a shard may still be at the generation before.
    """
    where = "exact search" if exact else "search"
    token = it.client.get(f"/v1/collections/{it.collection}").json()["token"]
    answer = it.search(
        "document of edition", limit=ALL, params={"exact": exact},
        token=token, timeout_ms=SEEN_MS,
    )  # fmt: skip
    faults = []
    if answer["coverage"]["degraded"]:
        faults.append(f"{where}: degraded at rest: {answer['coverage']}")
    hits = answer["hits"]
    found = {hit["id"]: {**hit, "text": hit["content"]["text"]} for hit in hits}
    if len(found) != len(hits):
        faults.append(f"{where}: {len(hits) - len(found)} documents are shown twice")
    for doc_id in sorted({*expected, *found}):
        faults += _differs(doc_id, expected.get(doc_id), found.get(doc_id), where)
    return faults


def _compare_shards(it: Deployment, documents: int) -> list[str]:
    """Count what the shards say they hold; they may still be announcing."""
    end = time.monotonic() + 5.0
    while True:
        shards = it.client.get("/v1/shards").json()["shards"]
        held = [max((r["documents"] for r in s["replicas"]), default=0) for s in shards]
        if sum(held) == documents:
            return []
        if time.monotonic() > end:
            return [f"the shards hold {held}, together not {documents}"]
        time.sleep(0.1)


#: Why a training or reindexing may end without having done its work.
GOOD_REASONS = ("being encoded again", "given up: it ended")


def compare_works(it: Deployment, works: Mapping[str, str]) -> list[str]:
    """Return the trainings and reindexings that have not come to a good end."""
    faults = []
    for job_id, kind in works.items():
        job = it.client.get(f"/v1/jobs/{job_id}").json()
        is_good = any(reason in (job["error"] or "") for reason in GOOD_REASONS)
        if job["state"] != "completed" and not is_good:
            faults.append(f"{kind} {job_id}: {job['state']}, {job['error']}")
    return faults


def compare_jobs(it: Deployment, jobs: Mapping[str, int]) -> list[str]:
    """Return the jobs that have not ended, or whose numbers do not add up."""
    faults = []
    for job_id, total in jobs.items():
        job = it.client.get(f"/v1/jobs/{job_id}").json()
        counts = job["counts"]
        lost = counts.get("failed", 0) + counts.get("dead", 0) + counts.get("queued", 0)
        sums = job["total"] == total == sum(counts.values())
        if job["state"] != "completed" or not sums or lost:
            faults.append(f"job {job_id} of {total} documents: {job['state']} {counts}")
    return faults
