"""The log: what became of the accepted documents, in commit order, for readers to tail."""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, delete, insert, or_, select, update

from indexstore.chunk_codec import decode_chunks, encode_chunks
from indexstore.dispatching import fail_documents
from indexstore.document_codec import decode_tags, encode_tags
from indexstore.model import EVERY_GENERATION, Appended, ChunkTable, EncodedDocument, LogRow
from indexstore.schema import documents, log
from indexstore.store import AnyRow, Store, advance, read_collection

_HEADS = select(
    documents.c.doc_id,
    documents.c.slot,
    documents.c.version,
    documents.c.content_version,
    documents.c.state,
    documents.c.tags,
    documents.c.weight,
).where(documents.c.collection == bindparam("of"))

_TAIL = (
    select(
        log.c.seq, log.c.op, log.c.doc_id, log.c.version,
        log.c.slot, log.c.tags, log.c.weight, log.c.chunks,
    )
    .where(log.c.collection == bindparam("of"))
    .where(log.c.seq > bindparam("after"), log.c.seq <= bindparam("until"))
    .where(log.c.generation.in_((EVERY_GENERATION, bindparam("generation"))))
    .where(log.c.slot >= bindparam("slot_from"), log.c.slot < bindparam("slot_to"))
    .order_by(log.c.seq)
    .limit(bindparam("limit"))
)  # fmt: skip

_CHUNKS = (
    select(log.c.doc_id, log.c.chunks)
    .where(log.c.collection == bindparam("of"))
    .where(log.c.op == "upsert", log.c.generation == bindparam("generation"))
)

_AMENDMENTS = _TAIL.where(log.c.op != "upsert")

#: Beyond every sequence number there can be.
_NO_END = 2**62


class Log(Store):
    """Append what was encoded, where it is still wanted; read what was appended."""

    def append(
        self, collection: str, encoded: Sequence[EncodedDocument], *, generation: int
    ) -> Appended:
        """Make encoded contents searchable, in one transaction.

        Only what is still a document's newest content gets in, with its newest tags, weight and
        version. So a batch that comes twice, late or out of order changes nothing. Tags that were
        found in a content are added to those that its document has; of one name the latter stay.
        """
        newest = _newest(encoded)
        found = {doc.doc_id: doc.chunks.tags for doc in newest if doc.chunks and doc.chunks.tags}
        blobs = {doc.doc_id: encode_chunks(doc.chunks) for doc in newest if doc.chunks is not None}
        with self.database.writing() as connection:
            info = read_collection(connection, collection, lock=True)
            if generation < info.generation:
                return Appended(info.last_seq, outdated=len(encoded), serving=info.generation)
            is_live = generation == info.generation
            heads = self._heads(connection, collection, newest)
            known = self._known(connection, collection, heads.values(), generation, is_live=is_live)
            wanted = {doc_id: head for doc_id, head in heads.items() if doc_id not in known}
            fresh = [head for doc_id, head in wanted.items() if doc_id in blobs]
            last_seq = info.last_seq
            tags = {head.doc_id: _with_found(head, found) for head in fresh}
            if fresh:
                rows = [(head, tags[head.doc_id], blobs[head.doc_id]) for head in fresh]
                last_seq = self._write(connection, collection, generation, rows)
            if is_live:
                self._enter_tags(connection, collection, fresh, tags)
                self._go_live(connection, collection, [head.doc_id for head in fresh])
                failures = _failures(newest, wanted)
                fail_documents(connection, collection, failures)
        return Appended(
            last_seq,
            indexed=len(fresh),
            failed=len(wanted) - len(fresh),
            superseded=len(encoded) - len(heads),
            repeated=len(heads) - len(wanted),
            serving=info.generation,
        )

    def tail(
        self,
        collection: str,
        after: int,
        *,
        generation: int,
        slots: range,
        limit: int,
        until: int | None = None,
    ) -> list[LogRow]:
        """Return the rows after a sequence number (and up to another), in their order.

        Fewer than ``limit`` mean that everything committed before the call has been seen: read
        ``last_seq`` first to know how far that is.
        """
        bounds = (after, _NO_END if until is None else until)
        return self._rows(
            _TAIL, collection, bounds, generation=generation, slots=slots, limit=limit
        )

    def amendments(
        self,
        collection: str,
        after: int,
        *,
        generation: int,
        slots: range,
        limit: int,
        until: int | None = None,
    ) -> list[LogRow]:
        """Return the deletes and patches only: what masks rows of older segments."""
        bounds = (after, _NO_END if until is None else until)
        return self._rows(
            _AMENDMENTS, collection, bounds, generation=generation, slots=slots, limit=limit
        )

    def chunks_of(
        self, collection: str, doc_ids: Sequence[str], *, generation: int
    ) -> dict[str, ChunkTable]:
        """Return the chunks of documents as they were encoded, by id, of those that are here."""
        query = _CHUNKS.where(self.database.among(log.c.doc_id, "ids"))
        listed = {
            "of": collection, "generation": generation, "ids": self.database.list_of(doc_ids),
        }  # fmt: skip
        rows = self.database.tuples(query, listed) if doc_ids else ()
        return {doc_id: decode_chunks(chunks) for doc_id, chunks in rows}

    def last_seq(self, collection: str) -> int:
        """Return the sequence number of the last committed row.

        Raises:   CollectionNotFoundError: there is none of that name.
        """
        return self.database.read(lambda c: read_collection(c, collection)).last_seq

    def _rows(
        self,
        query: Select[Any],
        collection: str,
        bounds: tuple[int, int],
        *,
        generation: int,
        slots: range,
        limit: int,
    ) -> list[LogRow]:
        parameters = {
            "of": collection, "after": bounds[0], "until": bounds[1],
            "generation": generation, "slot_from": slots.start, "slot_to": slots.stop,
            "limit": limit,
        }  # fmt: skip
        return [
            LogRow(
                seq, op, doc_id, version, slot, decode_tags(tags), weight,
                None if chunks is None else decode_chunks(chunks),
            )
            for seq, op, doc_id, version, slot, tags, weight, chunks in self.database.tuples(
                query, parameters
            )
        ]  # fmt: skip

    def _heads(
        self, connection: Connection, collection: str, encoded: Sequence[EncodedDocument]
    ) -> dict[str, AnyRow]:
        """Return the rows of those documents whose newest content was encoded."""
        contents = {document.doc_id: document.content_version for document in encoded}
        query = _HEADS.where(self.database.among(documents.c.doc_id, "ids"))
        listed = {"of": collection, "ids": self.database.list_of(list(contents))}
        rows = connection.execute(query, listed)
        return {row.doc_id: row for row in rows if row.content_version == contents[row.doc_id]}

    def _known(
        self,
        connection: Connection,
        collection: str,
        heads: Iterable[AnyRow],
        generation: int,
        *,
        is_live: bool,
    ) -> set[str]:
        """Return the documents whose newest content this generation's log has already."""
        if is_live:
            return {head.doc_id for head in heads if head.state == "indexed"}
        contents = {head.doc_id: head.content_version for head in heads}
        query = (
            select(log.c.doc_id, log.c.version)
            .where(log.c.collection == bindparam("of"))
            .where(self.database.among(log.c.doc_id, "ids"))
            .where(log.c.generation == generation)
        )
        listed = {"of": collection, "ids": self.database.list_of(list(contents))}
        rows = connection.execute(query, listed)
        return {row.doc_id for row in rows if row.version >= contents[row.doc_id]}

    def _write(
        self,
        connection: Connection,
        collection: str,
        generation: int,
        fresh: Sequence[tuple[AnyRow, str, bytes]],
    ) -> int:
        doc_ids = [head.doc_id for head, _, _ in fresh]
        self._drop_superseded(connection, collection, generation, doc_ids)
        _, last_seq = advance(connection, collection, seqs=len(fresh))
        first = last_seq - len(fresh) + 1
        rows = [
            {
                "collection": collection, "seq": seq, "generation": generation,
                "slot": head.slot, "op": "upsert", "doc_id": head.doc_id,
                "version": head.version, "weight": head.weight, "tags": tags, "chunks": blob,
            }
            for seq, (head, tags, blob) in enumerate(fresh, first)
        ]  # fmt: skip
        connection.execute(insert(log), rows)
        return last_seq

    def _enter_tags(
        self,
        connection: Connection,
        collection: str,
        heads: Sequence[AnyRow],
        tags: Mapping[str, str],
    ) -> None:
        """Give documents the tags that were found in their contents."""
        changed = [
            {"of": collection, "id": head.doc_id, "found": tags[head.doc_id]}
            for head in heads
            if tags[head.doc_id] != head.tags
        ]
        if changed:
            connection.execute(_TAGGED, changed)

    def _drop_superseded(
        self, connection: Connection, collection: str, generation: int, doc_ids: Sequence[str]
    ) -> None:
        """Delete what the new rows make void.

        Patches and deletes concern every generation, so they stay while another one has a row
        that was written before them.
        """
        other = log.alias("other")
        elsewhere = (
            select(other.c.seq)
            .where(other.c.collection == log.c.collection, other.c.doc_id == log.c.doc_id)
            .where(other.c.generation.not_in((EVERY_GENERATION, generation)))
            .exists()
        )
        void = or_(
            log.c.generation == generation,
            and_(log.c.generation == EVERY_GENERATION, ~elsewhere),
        )
        mine = log.c.collection == bindparam("of")
        superseded = delete(log).where(mine, self.database.among(log.c.doc_id, "ids"), void)
        listed = {"of": collection, "ids": self.database.list_of(doc_ids)}
        connection.execute(superseded, listed)

    def _go_live(self, connection: Connection, collection: str, doc_ids: Sequence[str]) -> None:
        live = (
            update(documents)
            .where(documents.c.collection == bindparam("of"))
            .where(self.database.among(documents.c.doc_id, "ids"))
            .values(
                state="indexed",
                error=None,
                live_version=documents.c.version,
                live_content_version=None,
                live_body=None,
                live_tags=None,
                live_weight=None,
                updated_at=time.time(),
            )
        )
        connection.execute(live, {"of": collection, "ids": self.database.list_of(doc_ids)})


_TAGGED = (
    update(documents)
    .where(documents.c.collection == bindparam("of"), documents.c.doc_id == bindparam("id"))
    .values(tags=bindparam("found"))
)


def _with_found(head: AnyRow, found: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a document's tags with those found in its content; its own are stronger."""
    if head.doc_id not in found:
        return str(head.tags)
    return encode_tags(head.doc_id, {**found[head.doc_id], **decode_tags(head.tags)})


_NO_REASON = "the encoder gave neither chunks nor a reason; see the worker's log"


def _newest(encoded: Sequence[EncodedDocument]) -> list[EncodedDocument]:
    """Return one entry a document: that of its newest content in the batch."""
    newest: dict[str, EncodedDocument] = {}
    for document in encoded:
        known = newest.get(document.doc_id)
        if known is None or known.content_version < document.content_version:
            newest[document.doc_id] = document
    return list(newest.values())


def _failures(
    encoded: Sequence[EncodedDocument], wanted: Mapping[str, AnyRow]
) -> list[tuple[str, int, str]]:
    return [
        (document.doc_id, document.content_version, document.error or _NO_REASON)
        for document in encoded
        if document.chunks is None and document.doc_id in wanted
    ]
