"""The commands beside a deployment that runs: what they do, print and tell the shell."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.deployment import Deployment, deployed, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PLUGIN = '''
"""An encoder that cannot encode one word until somebody has cured it."""
import pathlib
from workers.encode.hashing import HashingEncoder

class Picky(HashingEncoder):
    """Feature hashing; the word "poison" is refused."""

    name = "Picky"
    aliases = ()

    def __init__(self, *, dim: int = 512) -> None:
        super().__init__(dim=dim)

    def encode(self, chunks):
        is_cured = pathlib.Path(__file__).with_name("cured").exists()
        if not is_cured and any("poison" in (chunk.text or "") for chunk in chunks):
            raise ValueError("poison is in it")
        return super().encode(chunks)
'''
FLOW = """\
name: picky
services:
  - {name: Preprocessor}
  - {name: Encoder, uses: Picky, py_path: picky.py}
  - - {name: Indexer, uses: exact, shards: 2}
    - {name: Indexer, uses: bm25}
"""
GOOD = {f"good-{n}": f"plain bread, loaf {n}" for n in range(20)}


@pytest.fixture(scope="module")
def it(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Run a flow whose encoder refuses some documents."""
    folder = tmp_path_factory.mktemp("commands")
    (folder / "picky.py").write_text(PLUGIN)
    path = folder / "flow.yml"
    path.write_text(FLOW)
    with deployed(folder, path, GNES_CACHE_BYTES="0") as made:
        made.index(*({"id": doc_id, "text": text} for doc_id, text in GOOD.items()))
        yield made


@pytest.fixture
def poisoned(it: Deployment) -> Iterator[str]:
    """Store two documents that fail; give their job, and leave none behind."""
    (it.folder / "cured").unlink(missing_ok=True)
    job_id = it.index(
        {"id": "bad", "text": "a drop of poison"}, {"id": "worse", "text": "two drops of poison"},
        wait="no",
    )["job_id"]  # fmt: skip
    wait_until(lambda: it.client.get(f"/v1/jobs/{job_id}").json()["state"] == "failed")
    yield str(job_id)
    gnes(it, "delete", "bad", "worse")


def gnes(it: Deployment, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command against the deployment."""
    return it.ask_by_command(*arguments)


def answer(it: Deployment, *arguments: str) -> Any:
    """Run a command that succeeds and return the JSON that it prints."""
    done = gnes(it, *arguments, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_dead_letters_are_listed_shown_and_tried_again(it: Deployment, poisoned: str) -> None:
    """With the reason; after the cure they are found."""
    listed = answer(it, "dead-letters", "ls")["documents"]
    shown = answer(it, "dead-letters", "show", "bad")

    assert {(row["id"], row["status"]) for row in listed} == {
        ("bad", "failed"),
        ("worse", "failed"),
    }
    assert "poison is in it" in shown["error"]
    assert shown["document"]["text"] == "a drop of poison"
    assert gnes(it, "dead-letters", "show", "good-1").returncode == 2

    (it.folder / "cured").touch()
    assert gnes(it, "dead-letters", "replay", "bad", "nobody").returncode == 4
    assert gnes(it, "jobs", "watch", poisoned).returncode == 4  # one of the two is still failed
    assert answer(it, "jobs", "retry", poisoned) == {"queued": ["worse"]}
    assert gnes(it, "jobs", "watch", poisoned).returncode == 0
    wait_until(lambda: set(it.ids("drops of poison", limit=2)) == {"bad", "worse"})
    assert answer(it, "dead-letters", "ls") == {"documents": []}


def test_dead_letters_are_dropped_by_name_or_all_together(it: Deployment, poisoned: str) -> None:
    """Never without saying which."""
    assert gnes(it, "dead-letters", "discard").returncode == 2

    assert answer(it, "dead-letters", "discard", "bad")["deleted"] == ["bad"]
    assert [row["id"] for row in answer(it, "dead-letters", "ls")["documents"]] == ["worse"]
    assert answer(it, "dead-letters", "discard", "--all")["deleted"] == ["worse"]
    assert answer(it, "jobs", "show", poisoned)["state"] == "failed"


def test_a_job_is_cancelled(it: Deployment) -> None:
    """What waits is dropped; the job says so, and ends."""
    gnes_here = it.run("scale", "encode=0")
    assert gnes_here.returncode == 0
    wait_until(lambda: "encode" not in it.pids())
    job_id = it.index({"id": "late", "text": "comes too late"}, wait="no")["job_id"]

    job = answer(it, "jobs", "cancel", job_id)
    again = gnes(it, "jobs", "cancel", job_id)
    it.run("scale", "encode=1")
    wait_until(it.is_ready)

    assert (job["state"], job["counts"]) == ("cancelled", {"cancelled": 1})
    assert (again.returncode, "it is cancelled" in again.stderr) == (1, True)
    assert gnes(it, "get", "late").returncode == 1
    assert "late" not in it.ids("comes too late", limit=3)


def test_rankings_are_judged(it: Deployment, tmp_path: Path) -> None:
    """Each mode that the flow has, with its measures; TREC's files and BEIR's are read."""
    (tmp_path / "queries.tsv").write_text("q1\tplain bread, loaf 7\nq2\tplain bread, loaf 11\n")
    (tmp_path / "qrels.txt").write_text("q1 0 good-7 1\nq2 0 good-11 2\nq3 0 good-1 1\n")
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "plain bread, loaf 7"}\n')
    (tmp_path / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tgood-7\t1\n")
    files = [str(tmp_path / name) for name in ("queries.tsv", "qrels.txt")]

    report = answer(it, "eval", *files, "--runs", str(tmp_path / "runs"))
    beir = [str(tmp_path / name) for name in ("queries.jsonl", "test.tsv")]
    one = answer(it, "eval", *beir, "--mode", "text")

    assert report["queries"] == 2
    assert [row["mode"] for row in report["modes"]] == ["vector", "text", "hybrid"]
    assert all(row["nDCG@10"] == row["MRR@10"] == 1.0 for row in report["modes"])
    assert [row["recall@10"] for row in one["modes"]] == [1.0]
    assert (tmp_path / "runs" / "text.run").read_text().startswith("q1 Q0 good-7 1 ")
    (tmp_path / "empty.txt").write_text("")
    assert gnes(it, "eval", files[0], str(tmp_path / "empty.txt")).returncode == 2


def test_a_server_is_measured(it: Deployment) -> None:
    """Rates and latencies at each number of clients, of queries made from what is stored."""
    one, four = answer(it, "bench", "--clients", "1,4", "--seconds", "1")

    assert (one["clients"], four["clients"]) == (1, 4)
    assert one["errors"] == four["errors"] == 0
    assert 0 < one["median_ms"] <= one["p95_ms"] <= one["p99_ms"]
    assert gnes(it, "bench", "--clients", "many").returncode == 2


def test_a_deployment_is_broken_and_mends_itself(it: Deployment) -> None:
    """Each killed process comes back; no search hangs, no document is lost."""
    done = it.run("chaos", "--kills", "3", "--seed", "1", "--json")

    assert done.returncode == 0, done.stdout + done.stderr + it.story()
    report = json.loads(done.stdout)
    assert len(report["kills"]) == 3
    assert all(kill["recovered_s"] < 30 for kill in report["kills"])
    assert report["searches"]["whole"] > 0
    assert report["stored"]["before"] == report["stored"]["after"] >= len(GOOD)
