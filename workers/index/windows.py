"""A window of documents on its way: one chord, a batch of documents a header."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

from celery import current_app

from compose.wire.messages import DocumentBatch, DocumentItem
from indexstore.model import PendingDocument
from workers.handing_on import hand_on_documents
from workers.runtime import Runtime

_MAX_TEXT_BYTES = 1 << 20  # a message holds about as much text, so that no queue entry is huge
#: Media count as so much text: a batch is a moment's work, and a film takes turns of its own.
_BYTES_OF: Mapping[str, int] = {
    "image": _MAX_TEXT_BYTES // 16, "audio": _MAX_TEXT_BYTES // 4, "video": _MAX_TEXT_BYTES,
}  # fmt: skip


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
        length = _length(document)
        if size + length > _MAX_TEXT_BYTES or len(batches[-1]) >= most:
            batches.append([])
            size = 0
        batches[-1].append(document)
        size += length
    return batches


def _length(pending: PendingDocument) -> int:
    document = pending.document
    if document.vector is not None:
        return 0
    usual = len(str(document.content.get("text", "")))
    return _BYTES_OF.get(document.modality, usual)


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
