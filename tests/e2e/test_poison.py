"""Documents that end the process which touches them, and documents that only take long."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.deployment import deployed, wait_until

PLUGIN = '''
"""An encoder that dies of one word, as a native library may of one picture."""
import os
from workers.encode.hashing import HashingEncoder

class Fragile(HashingEncoder):
    """Feature hashing; the word "poison" ends the process."""

    name = "Fragile"
    aliases = ()

    def __init__(self, *, dim: int = 64) -> None:
        super().__init__(dim=dim)

    def encode(self, chunks):
        if any("poison" in (chunk.text or "") for chunk in chunks):
            os._exit(9)
        return super().encode(chunks)
'''
FLOW = """
name: fragile
services:
  - {name: Preprocessor, uses: SentenceSplitter}
  - {name: Encoder, uses: Fragile, py_path: fragile.py}
  - {name: Indexer, uses: hnsw}
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_document_that_kills_its_worker_is_given_up_and_the_others_are_indexed(
    tmp_path: Path,
) -> None:
    """After five attempts it is dead and says why; those beside it in the batch are found."""
    (tmp_path / "fragile.py").write_text(PLUGIN)
    flow = tmp_path / "fragile.yml"
    flow.write_text(FLOW)
    documents = [{"id": f"good-{n}", "text": f"Plain bread, loaf {n}."} for n in range(9)]
    documents.insert(4, {"id": "bad", "text": "A drop of poison."})

    with deployed(tmp_path, flow, GNES_VISIBILITY_TIMEOUT_S="2") as it:
        job_id = it.index(*documents, wait="no")["job_id"]
        job_path = f"/v1/jobs/{job_id}"
        wait_until(
            lambda: it.client.get(job_path).json()["counts"].get("indexed") == 9, 60, it.story
        )
        wait_until(lambda: it.client.get(job_path).json()["state"] == "partial", 150, it.story)
        found = it.ids("bread", limit=20)
        bad = it.client.get("/v1/collections/fragile/documents/bad").json()

    assert sorted(found) == [f"good-{n}" for n in range(9)]
    assert bad["status"] == "dead"
    assert "5 attempts" in bad["error"]


SLOW = '''
"""An encoder that takes its time over one word, and notes each time it does."""
import pathlib, time
from workers.encode.hashing import HashingEncoder

class Slow(HashingEncoder):
    """Feature hashing; the word "film" takes six seconds."""

    name = "Slow"
    aliases = ()

    def __init__(self, *, dim: int = 64) -> None:
        super().__init__(dim=dim)

    def encode(self, chunks):
        if any("film" in (chunk.text or "") for chunk in chunks):
            with pathlib.Path(__file__).with_name("runs").open("a") as runs:
                runs.write("x")
            time.sleep(6)
        return super().encode(chunks)
'''


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_work_that_outlasts_the_visibility_timeout_is_done_once(tmp_path: Path) -> None:
    """A living worker keeps what it works on, and is named when that takes too long."""
    (tmp_path / "slow.py").write_text(SLOW)
    flow = tmp_path / "slow.yml"
    flow.write_text(FLOW.replace("fragile", "slow").replace("Fragile", "Slow"))

    with deployed(tmp_path, flow, GNES_VISIBILITY_TIMEOUT_S="2") as it:
        it.index({"id": "long", "text": "A long film."})
        found = it.ids("film", timeout_ms=20_000)
        late = it.ask("another film", timeout_ms=1_000).json()

    assert found == ["long"]
    assert (late["status"], late["stage"], late["queue"]) == (504, "encode", "encode")
    assert (tmp_path / "runs").read_text() == "xxx"  # the document and the queries, once each
