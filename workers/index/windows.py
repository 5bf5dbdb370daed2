"""A window of documents on its way: one chord, a batch of documents a header."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from celery import current_app

from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.model import PendingDocument
from workers.handing_on import hand_on_documents
from workers.runtime import Runtime

_MAX_TEXT_BYTES = 1 << 20  # a message holds about as much text, so that no queue entry is huge


def publish(state: Runtime, pending: Sequence[PendingDocument], generation: int) -> None:
    """Publish documents as one chord: a header a batch, the callback ends the window."""
    batches = _cut_batches(pending, int(state.settings["document_batch"]))
    group_id = f"window-{uuid.uuid4()}"
    with (
        current_app.amqp.producer_pool.acquire(block=True, timeout=2) as producer,
        producer.batch(),
    ):
        for position, documents in enumerate(batches):
            batch = DocumentBatch(
                batch_id=f"{group_id}-{position}",
                collection=state.collection,
                generation=generation,
                group_id=group_id,
                group_index=position,
                group_size=len(batches),
                stage=0,
                items=tuple(_item(document).to_wire() for document in documents),
            )
            hand_on_documents(state, batch, producer=producer)


def _cut_batches(pending: Sequence[PendingDocument], most: int) -> list[list[PendingDocument]]:
    """Return the documents in batches; those whose last attempt was lost each go alone.

    One of them may be what ended the worker: so the others get past it.
    """
    batches: list[list[PendingDocument]] = [
        [document] for document in pending if _is_suspect(document)
    ]
    innocent = [document for document in pending if not _is_suspect(document)]
    size = _MAX_TEXT_BYTES + 1
    for document in innocent:
        length = len(str(document.document.content.get("text", "")))
        if size + length > _MAX_TEXT_BYTES or len(batches[-1]) >= most:
            batches.append([])
            size = 0
        batches[-1].append(document)
        size += length
    return batches


def _is_suspect(pending: PendingDocument) -> bool:
    return pending.attempts > 1


def _item(pending: PendingDocument) -> DocumentItem:
    document = pending.document
    item = DocumentItem(
        document.doc_id,
        pending.content_version,
        document.modality,
        dict(document.content),
        pending.accepted_at,
    )
    return item if document.vector is None else item.with_vector(document.vector)
