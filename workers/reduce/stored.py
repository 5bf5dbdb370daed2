"""The stored documents that answers show, and the last word on what is alive."""

from __future__ import annotations

from collections.abc import Iterable

from indexstore.ledger import Ledger
from indexstore.model import LiveDocument

_MOST = 50_000  # documents kept; at some 1 kB each that bounds a worker's memory


class LiveDocuments:
    """What the ledger says of documents, remembered for as long as nothing was written.

    One cheap read of the collection's counters tells whether anything was: then everything is
    forgotten, so a delete is gone from every answer as soon as it is acknowledged.
    """

    def __init__(self, ledger: Ledger, collection: str) -> None:
        self._ledger = ledger
        self._collection = collection
        self._stamp: tuple[int, int, int] | None = None
        self._known: dict[str, LiveDocument | None] = {}

    def get(self, doc_ids: Iterable[str]) -> dict[str, LiveDocument | None]:
        """Return the live document behind each id; None where there is none."""
        stamp = self._ledger.stamp(self._collection)
        if stamp != self._stamp or len(self._known) > _MOST:
            self._known.clear()
            self._stamp = stamp
        wanted = set(doc_ids)
        unknown = [doc_id for doc_id in wanted if doc_id not in self._known]
        if unknown:
            found = self._ledger.live(self._collection, unknown)
            self._known.update((doc_id, found.get(doc_id)) for doc_id in unknown)
        return {doc_id: self._known[doc_id] for doc_id in wanted}
