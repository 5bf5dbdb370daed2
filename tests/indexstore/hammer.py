"""A writer process for tests: random writes for some seconds, a line of JSON for each receipt.

Run as ``python -m tests.indexstore.hammer URL SEED SECONDS``. A receipt that was printed is a
promise: the test that kills this process holds the database to it.
"""

import json
import random
import sys
import time
from collections.abc import Callable

from indexstore.errors import DocumentNotFoundError
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.model import EncodedDocument
from tests.indexstore.samples import C, chunks_of, text_document


class Hammer:
    """Writes at random to a hundred documents that it shares with the other writers."""

    def __init__(self, url: str, seed: int) -> None:
        self.ledger = Ledger.open(url)
        self.log = Log(self.ledger.database)
        self.random = random.Random(seed)
        self.name = f"w{seed}"
        self.encoded: list[EncodedDocument] = []

    def run(self, seconds: float) -> None:
        """Write until the time is up, one receipt a write."""
        works: list[Callable[[], dict[str, object]]] = [
            self.accept, self.accept, self.append, self.append, self.patch, self.delete,
        ]  # fmt: skip
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            work = self.random.choice(works)
            started = time.monotonic()
            receipt = work()
            receipt |= {"work": work.__name__, "waited_s": time.monotonic() - started}
            sys.stdout.write(json.dumps(receipt) + "\n")
            sys.stdout.flush()

    def some_id(self) -> str:
        """Return the id of a shared document."""
        return f"d{self.random.randrange(100)}"

    def accept(self) -> dict[str, object]:
        """Accept a batch of shared documents and one that is ours alone, and encode them."""
        ours = f"{self.name}-{self.random.randrange(10**9)}"
        ids = [*{self.some_id() for _ in range(self.random.randrange(1, 30))}, ours]
        documents = [text_document(doc_id, self.name, tags={"by": self.name}) for doc_id in ids]
        acceptance = self.ledger.accept(C, documents, lease_s=60)
        pairs = list(zip(ids, acceptance.versions, strict=True))
        self.encoded += [EncodedDocument(i, version, chunks_of()) for i, version in pairs]
        return {"versions": acceptance.versions, "ours": ours}

    def append(self) -> dict[str, object]:
        """Append some of what was encoded: in any order, and now and then twice."""
        self.random.shuffle(self.encoded)
        batch = self.encoded[:64]
        appended = self.log.append(C, batch, generation=1)
        if self.random.random() < 0.8:
            del self.encoded[:64]
        return {"seqs": appended.indexed}

    def patch(self) -> dict[str, object]:
        """Patch a shared document."""
        try:
            return {"versions": [self.ledger.patch(C, self.some_id(), tags={"n": self.name})]}
        except DocumentNotFoundError:
            return {"versions": []}

    def delete(self) -> dict[str, object]:
        """Delete a few shared documents."""
        deletion = self.ledger.delete(C, [self.some_id() for _ in range(3)])
        n = len(deletion.deleted)
        return {"versions": list(range(deletion.token - n + 1, deletion.token + 1)), "seqs": n}


if __name__ == "__main__":
    Hammer(sys.argv[1], int(sys.argv[2])).run(float(sys.argv[3]))
