"""What a snapshot holds: every document with its chunks, as of one moment, and the way back."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
from sqlalchemy import Connection, bindparam, func, select

from indexstore.chunk_codec import decode_chunks, encode_chunks
from indexstore.document_codec import (
    decode_content,
    decode_tags,
    decode_vector,
    encode_content,
    encode_tags,
    encode_vector,
)
from indexstore.errors import CorruptDataError
from indexstore.model import ChunkTable, CollectionInfo, Document
from indexstore.schema import documents, log
from indexstore.store import AnyRow, Store, read_collection

_PAGE = 100  # documents read at a time: a film may have thousands of vectors

_DOCUMENTS = (
    select(
        documents.c.doc_id, documents.c.modality, documents.c.state, documents.c.vector,
        documents.c.body, documents.c.tags, documents.c.weight, documents.c.live_version,
        func.coalesce(documents.c.live_body, documents.c.body).label("shown_body"),
        func.coalesce(documents.c.live_tags, documents.c.tags).label("shown_tags"),
        func.coalesce(documents.c.live_weight, documents.c.weight).label("shown_weight"),
    )
    .where(documents.c.collection == bindparam("of"), documents.c.doc_id > bindparam("after"))
    .order_by(documents.c.doc_id)
    .limit(_PAGE)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entry:
    """One content of a document; without ``chunks`` it is still to be encoded."""

    document: Document
    chunks: ChunkTable | None


class Snapshots(Store):
    """Reads whole collections."""

    def entries(self, collection: str) -> Iterator[tuple[CollectionInfo, list[Entry]]]:
        """Yield the documents of a collection as they are at one moment, a page at a time.

        What searches show comes with its chunks. A newer content that waits to be encoded, or that
        could not be, follows the one that is shown; so restoring both in order gives both back.
        """
        with self.database.snapshot() as connection:
            info = read_collection(connection, collection)
            after = ""
            while True:
                parameters = {"of": collection, "after": after}
                rows = connection.execute(_DOCUMENTS, parameters).fetchall()
                if rows:
                    after = rows[-1].doc_id
                    yield info, self._page(connection, info, rows)
                if len(rows) < _PAGE:
                    return

    def written_since(
        self, collection: str, doc_ids: Iterable[str], version: int, *, but_by: str
    ) -> set[str]:
        """Return those of the documents that another job than ``but_by`` wrote after a version."""
        listed = list(doc_ids)
        query = select(documents.c.doc_id).where(
            documents.c.collection == bindparam("of"),
            self.database.among(documents.c.doc_id, "ids"),
            documents.c.version > version,
            documents.c.job_id != but_by,
        )
        rows = self.database.rows(query, {"of": collection, "ids": self.database.list_of(listed)})
        return {row.doc_id for row in rows}

    def ids_up_to(self, collection: str, version: int, *, after: str, limit: int) -> list[str]:
        """Return ids of documents that were not written since a version, in their order."""
        query = (
            select(documents.c.doc_id)
            .where(documents.c.collection == collection, documents.c.version <= version)
            .where(documents.c.doc_id > after)
            .order_by(documents.c.doc_id)
            .limit(limit)
        )
        return [row.doc_id for row in self.database.rows(query, {})]

    def _page(
        self, connection: Connection, info: CollectionInfo, rows: Sequence[Any]
    ) -> list[Entry]:
        query = (
            select(log.c.doc_id, log.c.chunks)
            .where(log.c.collection == bindparam("of"), log.c.op == "upsert")
            .where(log.c.generation == info.generation)
            .where(self.database.among(log.c.doc_id, "ids"))
        )
        shown = [row.doc_id for row in rows if row.live_version is not None]
        listed = {"of": info.name, "ids": self.database.list_of(shown)}
        chunks = {row.doc_id: row.chunks for row in connection.execute(query, listed)}
        return [entry for row in rows for entry in _entries(row, chunks.get(row.doc_id))]


def _entries(row: AnyRow, chunks: bytes | None) -> Iterator[Entry]:
    if row.live_version is not None and chunks is not None:
        shown = _document(row, row.shown_body, row.shown_tags, row.shown_weight)
        yield Entry(shown, decode_chunks(chunks))
        if row.state == "indexed":
            return
    yield Entry(_document(row, row.body, row.tags, row.weight), None)


def _document(row: AnyRow, body: bytes, tags: str, weight: float) -> Document:
    vector = decode_vector(row.vector)
    return Document(
        row.doc_id, row.modality, decode_content(body), decode_tags(tags), weight, vector
    )


def pack(entries: Iterable[Entry]) -> bytes:
    """Return entries as bytes, one after the other."""
    return b"".join(msgpack.packb(_fields(entry)) for entry in entries)


def unpack(name: str, data: bytes) -> Iterator[Entry]:
    """Yield the entries of what ``pack`` has made.

    Raises:
        CorruptDataError: it has made something else.
    """
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(data)
    try:
        for fields in unpacker:
            doc_id, modality, body, tags, weight, vector, chunks = fields
            document = Document(
                doc_id, modality, decode_content(body), decode_tags(tags), weight,
                decode_vector(vector),
            )  # fmt: skip
            yield Entry(document, None if chunks is None else decode_chunks(chunks))
    except (ValueError, TypeError, msgpack.UnpackException) as error:
        raise CorruptDataError(f"snapshot {name}", str(error)) from error


def _fields(entry: Entry) -> list[Any]:
    one = entry.document
    return [
        one.doc_id, one.modality, encode_content(one.content), encode_tags(one.doc_id, one.tags),
        one.weight, encode_vector(one.vector),
        None if entry.chunks is None else encode_chunks(entry.chunks),
    ]  # fmt: skip
