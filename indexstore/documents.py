"""Rows of the documents table, and the documents that they mean."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from indexstore.document_codec import (
    check_document,
    decode_content,
    decode_tags,
    decode_vector,
    encode_content,
    encode_tags,
    encode_vector,
)
from indexstore.errors import InvalidDocumentError
from indexstore.model import Document, StoredDocument, slot_of
from indexstore.schema import documents
from indexstore.store import AnyRow

DOCUMENT_COLUMNS = (
    documents.c.doc_id,
    documents.c.modality,
    documents.c.body,
    documents.c.tags,
    documents.c.weight,
    documents.c.vector,
    documents.c.content_version,
    documents.c.job_id,
    documents.c.attempts,
    documents.c.accepted_at,
)

STORED_COLUMNS = (
    *DOCUMENT_COLUMNS,
    documents.c.version,
    documents.c.state,
    documents.c.error,
    documents.c.live_version,
    documents.c.updated_at,
)

STORED = select(*STORED_COLUMNS)


def row_of(document: Document) -> dict[str, Any]:
    """Return what a document says of itself as columns, checked.

    Raises:   InvalidDocumentError: it cannot be stored.
    """
    check_document(document)
    try:
        body = encode_content(document.content)
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"its content cannot be encoded ({error}); send text and references only"
        raise InvalidDocumentError(document.doc_id, reason) from error
    return {
        "doc_id": document.doc_id,
        "slot": slot_of(document.doc_id),
        "modality": document.modality,
        "body": body,
        "tags": encode_tags(document.doc_id, document.tags),
        "weight": float(document.weight),
        "vector": encode_vector(document.vector),
    }


def document_of(row: AnyRow) -> Document:
    """Return the document of a row with the columns ``DOCUMENT_COLUMNS``."""
    return Document(
        doc_id=row.doc_id,
        modality=row.modality,
        content=decode_content(row.body),
        tags=decode_tags(row.tags),
        weight=row.weight,
        vector=decode_vector(row.vector),
    )


def stored_of(row: AnyRow) -> StoredDocument:
    """Return the stored document of a row with the columns ``STORED_COLUMNS``."""
    return StoredDocument(
        document=document_of(row),
        version=row.version,
        content_version=row.content_version,
        state=row.state,
        error=row.error,
        job_id=row.job_id,
        attempts=row.attempts,
        live_version=row.live_version,
        accepted_at=row.accepted_at,
        updated_at=row.updated_at,
    )


def merged_tags(old: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return tags with the keys of a patch set, or removed where the patch says None."""
    merged = {**old, **patch}
    return {key: value for key, value in merged.items() if value is not None or key not in patch}
