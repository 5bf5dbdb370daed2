"""Documents from a caller to searchable: batches sent, jobs followed, refusals collected."""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from app.client import Client, RefusedError
from app.local_files import sent

BATCH = 256
"""Documents in one request: small enough for a steady bar, large enough to cost nothing."""
BATCH_BYTES = 8 * 2**20
POLL_S = 0.2
OPEN = ("pending", "running")
DONE = ("indexed", "failed", "dead", "deleted", "superseded")
LOST = ("failed", "dead")


@dataclass(frozen=True, slots=True)
class Failure:
    """One document that was not accepted, or could not be indexed, and why."""

    doc_id: str | None
    reason: str


@dataclass(slots=True)
class Progress:
    """How far a feed has come; ``done`` counts indexed and failed documents alike."""

    sent: int = 0
    done: int = 0
    is_all_sent: bool = False
    failures: list[Failure] = field(default_factory=list)
    token: str = ""

    @property
    def indexed(self) -> int:
        """How many documents are in the index."""
        return self.done - len(self.failures)


class Feed:
    """Sends documents to one collection and follows them until each is indexed or has failed."""

    def __init__(self, client: Client, collection: str, *, batch: int = BATCH) -> None:
        self._client, self._collection, self._batch = client, collection, batch
        self._jobs: dict[str, int] = {}
        self._closed = 0
        self.progress = Progress()

    def run(self, documents: Iterable[Mapping[str, Any]]) -> Iterator[Progress]:
        """Send all documents; yield the progress now and then, and at the end."""
        polled_at = 0.0
        for batch in batches(self._prepared(documents), self._batch):
            self._send(batch)
            if time.monotonic() - polled_at > POLL_S:
                self._poll()
                polled_at = time.monotonic()
            yield self.progress
        self.progress.is_all_sent = True
        while self._jobs:
            self._poll()
            yield self.progress
            if self._jobs:
                time.sleep(POLL_S)
        yield self.progress

    def _prepared(self, documents: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        """Yield documents whose media the server has, or takes inside; others fail alone."""
        for document in documents:
            try:
                yield sent(document, self._client)
            except (RefusedError, OSError) as error:
                self.progress.failures.append(Failure(document.get("id"), str(error)))
                self.progress.sent += 1
                self._closed += 1

    def _send(self, batch: list[Mapping[str, Any]]) -> None:
        receipt = self._client.add(self._collection, batch)
        refused = [item for item in receipt["items"] if item["status"] == "refused"]
        self.progress.failures += [
            Failure(item["id"], (item["error"] or {}).get("reason", "refused")) for item in refused
        ]
        self._closed += len(refused)
        self.progress.sent += len(batch)
        self.progress.token = receipt.get("token") or self.progress.token
        if len(refused) < len(batch):
            self._jobs[receipt["job_id"]] = len(batch) - len(refused)
        self.progress.done = max(self.progress.done, self._closed)

    def _poll(self) -> None:
        """Ask for the oldest jobs that are open: they are worked off in about this order."""
        running = 0
        for job_id, total in list(islice(self._jobs.items(), 4)):
            job = self._client.job(job_id)
            done = min(total, sum(job["counts"].get(state, 0) for state in DONE))
            if job["state"] in OPEN:
                running += done
                continue
            del self._jobs[job_id]
            self._closed += total
            lost = sum(job["counts"].get(state, 0) for state in LOST)
            self.progress.failures += self._reasons(job_id, lost) if lost else []
        self.progress.done = self._closed + running

    def _reasons(self, job_id: str, lost: int) -> list[Failure]:
        answer = self._client.call(
            "GET", f"/v1/jobs/{job_id}/documents", query=[("state", "failed")]
        )
        named = [
            Failure(entry["id"], str(_reason_of(entry.get("error"))))
            for entry in answer.get("documents", [])
        ][:lost]
        unnamed = [Failure(None, f"failed in job {job_id}")] * (lost - len(named))
        return named + unnamed


def _reason_of(error: Any) -> Any:
    return error.get("reason", error) if isinstance(error, dict) else error or "failed"


def batches(
    documents: Iterable[Mapping[str, Any]], size: int, size_bytes: int = BATCH_BYTES
) -> Iterator[list[Mapping[str, Any]]]:
    """Cut a stream of documents into lists bounded in number and, roughly, in bytes."""
    batch: list[Mapping[str, Any]] = []
    weight = 0
    for document in documents:
        batch.append(document)
        weight += sum(map(_weight, document.values()))
        if len(batch) >= size or weight >= size_bytes:
            yield batch
            batch, weight = [], 0
    if batch:
        yield batch


def _weight(value: Any) -> int:
    """Estimate the bytes of a document's field: its texts, wherever they are nested."""
    if isinstance(value, str):
        return len(value)
    return sum(map(_weight, value.values())) if isinstance(value, dict) else 8
