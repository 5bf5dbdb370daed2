"""Read documents: one, many, all; what searches may show, and what is still on its way."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, select

from indexstore.document_codec import decode_content, decode_tags
from indexstore.documents import STORED, stored_of
from indexstore.errors import InvalidCursorError
from indexstore.model import DocumentState, LiveDocument, Page, StoredDocument
from indexstore.schema import documents
from indexstore.store import IS_FAILED, QUEUED, Store

_MINE = documents.c.collection == bindparam("of")

_ONE = STORED.where(_MINE, documents.c.doc_id == bindparam("doc_id"))

_LIVE = select(
    documents.c.doc_id,
    documents.c.live_version,
    func.coalesce(documents.c.live_content_version, documents.c.content_version),
    func.coalesce(documents.c.live_body, documents.c.body),
    func.coalesce(documents.c.live_tags, documents.c.tags),
    func.coalesce(documents.c.live_weight, documents.c.weight),
).where(_MINE, documents.c.live_version.is_not(None))

#: The head of a small index; asked as EXISTS, PostgreSQL may read the whole table instead.
_LONGEST_PENDING = (
    select(documents.c.pending_since)
    .where(_MINE, documents.c.state == QUEUED)
    .order_by(documents.c.pending_since)
    .limit(1)
)

_TOTAL = select(func.count()).select_from(documents).where(_MINE)

_BY_STATE = (
    select(documents.c.state, func.count())
    .select_from(documents)
    .where(_MINE)
    .group_by(documents.c.state)
)


class Reads(Store):
    """Everything that asks and changes nothing."""

    def get(self, collection: str, doc_id: str) -> StoredDocument | None:
        """Return a document's newest accepted version, searchable yet or not."""
        rows = self.database.rows(_ONE, {"of": collection, "doc_id": doc_id})
        return stored_of(rows[0]) if rows else None

    def some(self, collection: str, doc_ids: Sequence[str]) -> list[StoredDocument]:
        """Return those of the documents that there are, in the order of the ids given."""
        query = STORED.where(_MINE, self.database.among(documents.c.doc_id, "ids"))
        listed = {"of": collection, "ids": self.database.list_of(doc_ids)}
        found = {
            stored.document.doc_id: stored
            for stored in map(stored_of, self.database.rows(query, listed))
        }
        return [found[doc_id] for doc_id in doc_ids if doc_id in found]

    def live(self, collection: str, doc_ids: Sequence[str]) -> dict[str, LiveDocument]:
        """Return those of the documents that searches may show, with the content to show."""
        query = _LIVE.where(self.database.among(documents.c.doc_id, "ids"))
        listed = {"of": collection, "ids": self.database.list_of(doc_ids)}
        return {
            doc_id: LiveDocument(
                version, content_version, decode_content(body), decode_tags(tags), weight
            )
            for doc_id, version, content_version, body, tags, weight in self.database.tuples(
                query, listed
            )
        }

    def has_pending(self, collection: str, up_to_version: int) -> bool:
        """Return whether anything accepted up to a version is not searchable yet."""
        longest = self.database.rows(_LONGEST_PENDING, {"of": collection})
        return bool(longest) and longest[0].pending_since <= up_to_version

    def count(self, collection: str) -> int:
        """Return how many documents there are, in any state."""
        return int(self.database.rows(_TOTAL, {"of": collection})[0][0])

    def counts_by_state(self, collection: str) -> dict[DocumentState, int]:
        """Return how many documents are in each state; reads the small indexes only."""
        counts: dict[DocumentState, int] = {"queued": 0, "indexed": 0, "failed": 0, "dead": 0}
        for few in (documents.c.state == QUEUED, IS_FAILED):
            query = _BY_STATE.where(few)
            counts |= dict(self.database.rows(query, {"of": collection}))
        counts["indexed"] = self.count(collection) - sum(counts.values())
        return counts

    def scroll(
        self,
        collection: str,
        *,
        limit: int,
        cursor: str | None = None,
        states: Sequence[DocumentState] = (),
        job_id: str | None = None,
    ) -> Page[StoredDocument]:
        """Return documents by id, a page at a time: all, those in some states, or those of a job.

        Raises:   InvalidCursorError: the cursor is not one of ours.
        """
        parameters: dict[str, Any] = {"of": collection, "after": decode_cursor(cursor)}
        query = STORED.where(_MINE, documents.c.doc_id > bindparam("after"))
        if states:
            query = query.where(documents.c.state.in_(states))
        if job_id is not None:
            query = query.where(documents.c.job_id == job_id)
        query = query.order_by(documents.c.doc_id).limit(limit + 1)
        found = [stored_of(row) for row in self.database.rows(query, parameters)]
        is_last = len(found) <= limit
        items = tuple(found[:limit])
        return Page(items, None if is_last else encode_cursor(items[-1].document.doc_id))


def encode_cursor(place: str) -> str:
    """Return an opaque cursor that continues after a place."""
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None) -> str:
    """Return the place that a cursor continues after, the start for None.

    Raises:   InvalidCursorError: the cursor is not one of ours.
    """
    if cursor is None:
        return ""
    try:
        place = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError as error:
        raise InvalidCursorError(cursor) from error
    if encode_cursor(place) != cursor or "\x00" in place:
        raise InvalidCursorError(cursor)
    return place
