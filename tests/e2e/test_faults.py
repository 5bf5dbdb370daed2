"""Faults through real processes: every request ends in time, and service comes back by itself."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from app.supervisor.deployment import DataFolder
from tests.chaos.audit import recover
from tests.chaos.bed import FLOW
from tests.chaos.victims import WIPED, kill
from tests.e2e.deployment import Deployment, deployed, wait_until
from tests.e2e.faults import TIMEOUT_S, under_load

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PENDING = 16
DOCUMENTS = 240
ALL = 20_000  # more than a test's load writes


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a small flow with the usual time-outs; every test leaves it at rest and whole."""
    settings = {
        "GNES_BUILD_ROWS": "60",
        "GNES_LIMITS__MAX_PENDING_QUERIES": str(PENDING),
        "GNES_LIMITS__MAX_LIMIT": str(ALL),
    }
    with deployed(tmp_path_factory.mktemp("faults"), FLOW, **settings) as it:
        for first in range(0, DOCUMENTS, 60):
            it.index(*(_document(n) for n in range(first, first + 60)))
        yield it


@pytest.fixture(autouse=True)
def at_rest(it: Deployment) -> Iterator[None]:
    """Let the deployment come to rest between the tests."""
    recover(it)
    yield
    recover(it)


def _document(number: int) -> dict[str, Any]:
    return {"id": f"d{number}", "text": f"Bread number {number} was baked on day {number * 7}."}


@contextmanager
def frozen(it: Deployment, name: str) -> Iterator[None]:
    """Stop a process without ending it: the worst way in which it can be silent."""
    pid = it.kill(name, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
            os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("role", ["broker", WIPED])
def test_a_restarted_broker_costs_seconds_and_no_document(it: Deployment, role: str) -> None:
    """With or without its data: requests end in time, searches are whole again within 5 s."""
    with under_load(it) as load:
        time.sleep(1.0)
        killed_at = time.monotonic()
        kill(it, role, 0)
        time.sleep(8.0)
    recover(it)

    assert load.slow() == []
    assert {one.status for one in load.ended} <= {200, 202, 503, 504}
    assert load.back_after(killed_at) < 5.0
    assert load.accepted
    jobs = [it.client.get(f"/v1/jobs/{job_id}").json() for job_id in load.jobs]
    assert {job["state"] for job in jobs} == {"completed"}
    shown = {hit["id"]: hit for hit in it.search("loaf of a tray", limit=ALL)["hits"]}
    assert load.accepted.items() <= {i: hit["content"]["text"] for i, hit in shown.items()}.items()


def test_a_killed_shard_worker_costs_its_part_of_an_answer_and_never_a_hang(
    it: Deployment,
) -> None:
    """Answers without it say so; those with it are whole once it is back."""
    answers = []
    it.kill("search-chaos-1")
    until = time.monotonic() + 8.0

    while time.monotonic() < until:
        started = time.monotonic()
        response = it.ask("bread baked on a day", timeout_ms=1000)
        answers.append((time.monotonic() - started, response))
        time.sleep(0.05)

    assert max(took_s for took_s, _ in answers) < 2.0
    assert {response.status_code for _, response in answers} == {200}
    coverage = [response.json()["coverage"] for _, response in answers]
    assert any(one["degraded"] and one["shards_ok"] == 1 for one in coverage)
    assert not coverage[-1]["degraded"]
    assert len(answers[-1][1].json()["hits"]) == 10


def test_with_two_replicas_of_a_shard_the_death_of_either_fails_no_query(it: Deployment) -> None:
    """What the dead one had in hand is asked again of the other."""
    assert it.run("scale", "search.chaos.0=2").returncode == 0
    wait_until(lambda: len(_serving(it, "search.chaos.0")) == 2)

    with under_load(it) as load:
        for name in ("search-chaos-0", "search-chaos-0-2"):
            time.sleep(1.0)
            dead = it.kill(name)
            wait_until(partial(_has_two_without, it, dead))
    assert it.run("scale", "search.chaos.0=1").returncode == 0

    searches = [one for one in load.ended if one.what == "search"]
    assert {one.status for one in searches} == {200}
    assert load.slow() == []
    assert all(one.is_whole for one in searches)


def test_two_replicas_share_the_load_and_a_token_reads_its_write_on_either(
    it: Deployment,
) -> None:
    """Whichever replica gets the query first reads the log as far as the token says."""
    assert it.run("scale", "search.chaos.0=2").returncode == 0
    wait_until(lambda: len(_done(it, "search.chaos.0")) == 2)
    before = _done(it, "search.chaos.0")

    missed = []
    for number in range(60):
        new = {"id": f"own-{number}", "text": "A loaf of my own.", "tags": {"own": number}}
        token = it.index(new, wait="no")["token"]
        mine = {"must": [{"key": "own", "match": {"value": number}}]}
        with ThreadPoolExecutor(4) as pool:
            ask = partial(it.ids, "loaf", filter=mine, token=token)
            found = [asked.result() for asked in [pool.submit(ask) for _ in range(4)]]
        missed += [ids for ids in found if ids != [new["id"]]]
    wait_until(lambda: sum(_done(it, "search.chaos.0").values()) - sum(before.values()) >= 60)
    after = _done(it, "search.chaos.0")
    assert it.run("scale", "search.chaos.0=1").returncode == 0

    assert missed == []
    shares = [after[pid] - before[pid] for pid in before]
    assert min(shares) > 0.2 * sum(shares)


def _done(it: Deployment, queue: str) -> dict[int, int]:
    """Return how many tasks each worker on a queue has done, by its process."""
    workers = it.client.get("/v1/workers").json()["workers"]
    return {one["pid"]: one["tasks_done"] for one in workers if queue in one["queues"]}


def _has_two_without(it: Deployment, dead: int) -> bool:
    return len(_serving(it, "search.chaos.0") - {dead}) == 2


def _serving(it: Deployment, queue: str) -> set[int]:
    workers = it.client.get("/v1/workers").json()["workers"]
    return {worker["pid"] for worker in workers if queue in worker["queues"]}


def test_a_silent_encode_worker_gives_a_problem_that_names_stage_and_queue(it: Deployment) -> None:
    """Within the deadline, as a 504; vectors need no encoder and are answered all the while."""
    with frozen(it, "encode"):
        started = time.monotonic()
        response = it.ask("bread", timeout_ms=1000)
        took_s = time.monotonic() - started
        by_vector = it.client.post(
            f"/v1/collections/{it.collection}/search", json={"query": {"vector": [1.0] * 64}}
        )

    assert took_s < 1.5
    assert response.status_code == 504
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert (problem["stage"], problem["queue"]) == ("encode", "encode")
    assert by_vector.status_code == 200


def test_a_count_is_asked_again_when_a_worker_dies_with_it(it: Deployment) -> None:
    """What nobody but its sender remembers is not lost with who had it in hand."""
    count = f"/v1/collections/{it.collection}/documents/count"
    all_others = {"filter": {"must_not": [{"has_id": ["nobody"]}]}}
    before = it.client.post(count, json=all_others).json()

    with frozen(it, "search-chaos-0"), ThreadPoolExecutor(1) as pool:
        asked = pool.submit(it.client.post, count, json=all_others)
        time.sleep(0.3)
        it.kill("search-chaos-0")
        response = asked.result()

    assert response.status_code == 200
    assert response.json() == before
    assert before["count"] >= DOCUMENTS


def test_a_batch_that_the_broker_lost_is_sent_again_within_seconds(it: Deployment) -> None:
    """Documents that are in no queue and in nobody's hands need not wait for their lease to end."""
    documents = [{"id": f"lost-{n}", "text": f"A lost loaf, number {n}."} for n in range(400)]
    broker = redis.Redis.from_url(DataFolder(it.folder / "d").state().broker_url)
    with frozen(it, "encode"):
        job_id = it.index(*documents, wait="no")["job_id"]
        wait_until(lambda: broker.llen("encode:9") >= 5)
        lost_at = time.monotonic()
        broker.delete("encode:9")

    wait_until(lambda: it.client.get(f"/v1/jobs/{job_id}").json()["state"] == "completed")

    assert time.monotonic() - lost_at < 15.0
    broker.close()


def test_beyond_its_capacity_the_api_says_when_to_come_back(it: Deployment) -> None:
    """As many queries as it may hold wait; all further get 503 with Retry-After at once."""

    def ask(number: int) -> tuple[float, httpx2.Response]:
        started = time.monotonic()
        response = it.ask(f"bread {number}", timeout_ms=int(TIMEOUT_S * 1000))
        return time.monotonic() - started, response

    with frozen(it, "encode"), ThreadPoolExecutor(3 * PENDING) as pool:
        ended = list(pool.map(ask, range(3 * PENDING)))

    refused = [(took_s, one) for took_s, one in ended if one.status_code == 503]
    waited = [(took_s, one) for took_s, one in ended if one.status_code == 504]
    assert len(refused) + len(waited) == len(ended)
    assert len(refused) >= PENDING
    assert max(took_s for took_s, _ in ended) < TIMEOUT_S + 1.0
    assert all(int(one.headers["retry-after"]) >= 1 for _, one in refused)


def test_an_altered_segment_is_never_served_is_reported_and_heals(it: Deployment) -> None:
    """One flipped byte: the shard answers from the log until the segment is built anew."""
    wait_until(lambda: all(one["segments"] and one["delta_rows"] < 60 for one in _replicas(it)))
    before = _found(it)
    folders = [path.parent for path in (it.folder / "d" / "blobs").rglob("meta.json")]
    for folder in folders:
        _flip_a_byte(folder)

    for name in ("search-chaos-0", "search-chaos-1"):
        it.kill(name)
    reported = wait_until(lambda: [one for one in _replicas(it) if one["corrupt"]])
    assert _found(it) == before
    wait_until(lambda: all(one["segments"] and not one["corrupt"] for one in _replicas(it)))

    assert all(set(one["corrupt"]) <= {folder.name for folder in folders} for one in reported)
    assert _found(it) == before


def _replicas(it: Deployment) -> list[dict[str, Any]]:
    shards = it.client.get("/v1/shards").json()["shards"]
    found = [replica for shard in shards for replica in shard["replicas"]]
    nothing = {"segments": 0, "corrupt": {}, "delta_rows": 0}
    return found if len(found) == len(shards) else [nothing]


def _found(it: Deployment) -> dict[str, str]:
    wait_until(it.is_ready)
    answer = wait_until(lambda: _whole(it))
    return {hit["id"]: hit["content"]["text"] for hit in answer["hits"]}


def _whole(it: Deployment) -> dict[str, Any] | None:
    response = it.ask("bread", limit=ALL)
    if response.status_code != 200 or response.json()["coverage"]["degraded"]:
        return None
    return dict(response.json())


def _flip_a_byte(folder: Path) -> None:
    path = max((p for p in folder.iterdir() if p.is_file()), key=lambda p: p.stat().st_size)
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0x40
    path.chmod(0o644)
    path.write_bytes(bytes(raw))


def _may_mount() -> bool:
    return os.geteuid() == 0 and shutil.which("unshare") is not None
