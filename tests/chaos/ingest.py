"""``python -m tests.chaos.ingest``: kill each process once while documents are being ingested.

Ingests docstrings of the standard library in batches, SIGKILLs one process of every role in turn
(and the broker once more with its data wiped), and then counts: every acknowledged document is
there once, by the ledger, by the shards and by scrolling through them.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2

from app.demo.corpus import corpus
from tests.chaos.victims import WIPED, kill
from tests.e2e.deployment import ROOT, Deployment, deployed, wait_until

VICTIMS = ("preprocess", "encode", "index", "search", "build", "reduce", "api", "broker", WIPED)
BATCH = 100
PATIENCE_S = 600.0


def main() -> int:
    """Run it; 0 when nothing was lost and nothing doubled."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.ingest", description=__doc__)
    parser.add_argument("--documents", type=int, default=5_000)
    parser.add_argument("--flow", type=Path, default=ROOT / "flows" / "text.yml")
    given = parser.parse_args()
    documents = _documents(given.documents)
    folder = Path(tempfile.mkdtemp(prefix="gnes-ingest-"))
    with deployed(folder, given.flow.resolve(), GNES_BUILD_ROWS="500") as it:
        acknowledged = _ingest_under_fire(it, documents)
        began = time.monotonic()
        wait_until(lambda: _is_settled(it), PATIENCE_S, it.story)
        settled_s = time.monotonic() - began
        found = _scroll(it)
        counted = _counts(it)
    lost, doubled = acknowledged - set(found), len(found) - len(set(found))
    _say(f"acknowledged {len(acknowledged)}, found {len(set(found))}, lost {len(lost)}, "
         f"doubled {doubled}, counts {counted}, settled after {settled_s:.1f} s")  # fmt: skip
    is_whole = set(counted.values()) == {len(set(found))}
    return 0 if not lost and not doubled and is_whole else 1


def _documents(number: int) -> list[dict[str, Any]]:
    return [dict(document) for document in islice(corpus(number), number)]


def _ingest_under_fire(it: Deployment, documents: Sequence[dict[str, Any]]) -> set[str]:
    """Post all documents while the victims are killed one after the other."""
    acknowledged: set[str] = set()
    done = threading.Event()
    killer = threading.Thread(target=_kill_in_turn, args=(it, done), daemon=True)
    killer.start()
    for start in range(0, len(documents), BATCH):
        batch = documents[start : start + BATCH]
        while True:
            try:
                response = it.client.post(
                    f"/v1/collections/{it.collection}/documents", json=batch, timeout=20
                )
            except httpx2.TransportError:
                time.sleep(0.2)
                continue
            if response.status_code == httpx2.codes.ACCEPTED:
                items = response.json()["items"]
                acknowledged |= {item["id"] for item in items if item["error"] is None}
                break
            time.sleep(0.2)
        time.sleep(0.2)  # spread over the kills
    done.wait(PATIENCE_S)
    killer.join()
    return acknowledged


def _kill_in_turn(it: Deployment, done: threading.Event) -> None:
    for victim in VICTIMS:
        time.sleep(2.0)
        _say(f"killed {kill(it, victim, 0)}")
    done.set()


def _is_settled(it: Deployment) -> bool:
    try:
        if not it.is_ready():
            return False
        collection = it.client.get(f"/v1/collections/{it.collection}").json()
        return not collection["documents"]["queued"] and len(set(_counts(it).values())) == 1
    except (httpx2.HTTPError, KeyError):
        return False


def _counts(it: Deployment) -> dict[str, int]:
    """Return how many documents there are, by the ledger, the shards' replicas and the filter."""
    path = f"/v1/collections/{it.collection}"
    shards = it.client.get("/v1/shards").json()["shards"]
    counted = it.client.post(f"{path}/documents/count", json={}).json()
    return {
        "ledger": it.client.get(path).json()["documents"]["indexed"],
        "shards": sum(shard["replicas"][0]["documents"] for shard in shards),
        "count": counted.get("count", -1),
    }


def _scroll(it: Deployment) -> list[str]:
    """Return the ids of all documents, page by page."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        body = {"limit": 500} | ({"cursor": cursor} if cursor else {})
        page = it.client.post(f"/v1/collections/{it.collection}/documents/scroll", json=body).json()
        found += [document["id"] for document in page["documents"]]
        cursor = page.get("cursor") or page.get("next_cursor")
        if not cursor:
            return found


def _say(text: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
