"""Snapshots: taken while documents change, restored whole, also elsewhere and after a death."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

FLOW = """\
name: kept
services:
  - {name: Preprocessor}
  - {name: Encoder, uses: Hashing, with: {dim: 512}}
  - {name: Indexer, uses: exact, shards: 2}
"""
DOCUMENTS = 1_200


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Deployment]:
    """Run a light flow with documents in it."""
    path = tmp_path / "flow.yml"
    path.write_text(FLOW)
    with deployed(tmp_path, path) as made:
        made.index(*(document(number) for number in range(DOCUMENTS)))
        yield made


def document(number: int, words: str = "first edition") -> dict[str, Any]:
    """Return a document that one query finds."""
    return {"id": f"d{number}", "text": f"{words} of number {number}", "tags": {"n": number}}


def count(it: Deployment) -> int:
    """Count the documents in the shards."""
    path = f"/v1/collections/{it.collection}/documents/count"
    tagged = {"must": [{"key": "n", "range": {"gte": -9}}]}  # with a filter the shards are asked
    return int(it.client.post(path, json={"filter": tagged}).json()["count"])


def text_of(it: Deployment, doc_id: str) -> str | None:
    """Return the text of a stored document; None when there is none."""
    answer = it.client.get(f"/v1/collections/{it.collection}/documents/{doc_id}")
    return str(answer.json()["text"]) if answer.status_code == httpx2.codes.OK else None


def snapshot(it: Deployment, *arguments: str) -> str:
    """Run a ``gnes snapshot`` command and return what it says."""
    done = it.ask_by_command("snapshot", *arguments)
    assert done.returncode == 0, done.stderr + it.story()
    return done.stdout


def test_what_was_changed_and_deleted_comes_back(it: Deployment) -> None:
    """Also tags; what was written since the snapshot goes, what is written since the wish stays."""
    assert snapshot(it, "create", "before") == "completed: snapshot before\n"
    encoded_before = tasks_done(it, "encode")
    it.index(
        document(1, "second edition"), {"id": "new", "text": "written since", "tags": {"n": 0}}
    )
    it.client.patch(f"/v1/collections/{it.collection}/documents/d2", json={"tags": {"n": -2}})
    it.client.delete(f"/v1/collections/{it.collection}/documents/d3")
    wait_until(lambda: count(it) == DOCUMENTS)

    assert snapshot(it, "restore", "before") == f"completed: {DOCUMENTS} documents restored\n"

    assert text_of(it, "d1") == "first edition of number 1"
    assert text_of(it, "new") is None
    assert text_of(it, "d3") == "first edition of number 3"
    wait_until(lambda: count(it) == DOCUMENTS, story=it.story)
    tagged = {"filter": {"must": [{"key": "n", "match": {"value": 2}}]}, "limit": 1}
    wait_until(lambda: it.ids("edition of number 2", **tagged) == ["d2"])
    assert it.ids("first edition of number 3", limit=1) == ["d3"]
    # Only what was written by hand meanwhile has been encoded: the vectors came with the snapshot.
    assert tasks_done(it, "encode") - encoded_before <= 4


def tasks_done(it: Deployment, queue: str) -> int:
    """Count the tasks of the workers of a queue."""
    workers = it.client.get("/v1/workers").json()["workers"]
    return sum(worker["tasks_done"] for worker in workers if queue in worker["queues"])


def test_a_snapshot_is_listed_copied_elsewhere_and_deleted(it: Deployment, tmp_path: Path) -> None:
    """Its folder is all that another deployment of the flow needs."""
    snapshot(it, "create", "moved")
    assert f"moved    {DOCUMENTS}" in " ".join(snapshot(it, "ls").split(" ")).replace(
        "     ", "    "
    )
    folder = it.folder / "d" / "blobs" / ".snapshots" / "kept" / "moved"
    (tmp_path / "other").mkdir()
    with deployed(tmp_path / "other", it.flow) as other:
        shutil.copytree(
            folder, tmp_path / "other" / "d" / "blobs" / ".snapshots" / "kept" / "moved"
        )

        snapshot(other, "restore", "moved")

        wait_until(lambda: count(other) == DOCUMENTS, story=other.story)
        assert other.ids("first edition of number 7", limit=1) == ["d7"]

    (folder / "snapshot.json").write_text("{")
    assert "moved is damaged" in snapshot(it, "ls")
    assert "deleted moved" in snapshot(it, "rm", "moved")
    assert not folder.exists()
    missing = it.ask_by_command("snapshot", "restore", "moved")
    assert (missing.returncode, "there is no snapshot 'moved'" in missing.stderr) == (1, True)


def test_a_snapshot_of_another_encoder_is_encoded_again(it: Deployment) -> None:
    """It is refused in words, and taken with --encode."""
    snapshot(it, "create", "old")
    it.stop()
    shutil.move(it.folder / "d" / "blobs" / ".snapshots", it.folder / "kept")
    shutil.rmtree(it.folder / "d")
    it.flow.write_text(FLOW.replace("dim: 512", "dim: 256"))
    (it.folder / "d" / "blobs").mkdir(parents=True)
    shutil.move(it.folder / "kept", it.folder / "d" / "blobs" / ".snapshots")
    it.start()

    refused = it.ask_by_command("snapshot", "restore", "old")
    assert refused.returncode == 1
    assert "another flow has encoded it" in refused.stderr

    snapshot(it, "restore", "old", "--encode")
    wait_until(lambda: count(it) == DOCUMENTS, 60, it.story)
    assert it.ids("first edition of number 5", limit=1) == ["d5"]


def test_a_restore_survives_the_death_of_its_worker(it: Deployment) -> None:
    """Another one begins anew and ends it; a document is there once."""
    snapshot(it, "create", "safe")
    path = f"/v1/collections/{it.collection}"
    it.client.post(
        f"{path}/documents/delete", json={"filter": {"must": [{"key": "n", "range": {"gte": 0}}]}}
    )
    wait_until(lambda: count(it) == 0)

    job = it.client.post(f"{path}/snapshots/safe/restore", json={}).json()
    wait_until(lambda: it.client.get(f"/v1/jobs/{job['id']}").json()["counts"].get("restored"))
    it.kill("build")

    wait_until(
        lambda: it.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "completed", 90, it.story
    )
    wait_until(lambda: count(it) == DOCUMENTS, story=it.story)


def test_a_damaged_snapshot_is_refused(it: Deployment) -> None:
    """One flipped byte is found, and said; nothing of it that is unreadable is stored."""
    snapshot(it, "create", "torn")
    (part,) = (it.folder / "d" / "blobs" / ".snapshots" / "kept" / "torn").glob("documents-*")
    data = bytearray(part.read_bytes())
    data[len(data) // 2] ^= 1
    part.write_bytes(data)

    refused = it.ask_by_command("snapshot", "restore", "torn")

    assert refused.returncode == 1
    assert "documents-00000.msgpack is damaged" in refused.stderr
    assert count(it) == DOCUMENTS
