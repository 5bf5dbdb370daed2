"""What follows a stage: the next one, or, after the last, the chord over the shards."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from celery import current_app

from compose.plan import StagePlan
from compose.wire import chords, names
from compose.wire.chords import Call, Chord
from compose.wire.messages import DocumentBatch, DocumentItem, QueryBatch, Reply
from compose.wire.scatter import scatter
from workers import carrying
from workers.answering import reply
from workers.runtime import Runtime

_QUERY_TASK = {"preprocess": names.PREPROCESS_QUERY, "encode": names.ENCODE_QUERY}
_DOCUMENT_TASK = {"preprocess": names.PREPROCESS_DOCUMENTS, "encode": names.ENCODE_DOCUMENTS}


def hand_on_query(state: Runtime, batch: QueryBatch) -> None:
    """Send a batch of queries to the stage it wants next, or to the shards."""
    todo = [stage for stage in state.plan.stages[batch.stage :] if stage.component(batch.modality)]
    if todo:
        stage = todo[0]
        batch = replace(batch, stage=stage.index)
        call = Call(_QUERY_TASK[stage.kind], stage.queue, batch.to_wire())
        # By its name a batch that is late can be found.
        name = f"{batch.batch_id}-{batch.stage}"
        chords.send(current_app, call, awaited=True, task_id=name)
    elif batch.wants == "embeddings":
        found = Reply(
            batch.batch_id,
            embeddings=batch.embeddings,
            weights=batch.weights,
            failures=batch.failures,
            spans=batch.spans,
        )
        reply(batch.reply_to, found)
    else:
        scatter(current_app, state.plan, batch)


def hand_on_documents(state: Runtime, batch: DocumentBatch, **options: Any) -> None:
    """Send a batch of documents to the stage it wants next; the last one is the chord's header."""
    if batch.stage == 0 and any(_wants_fetching(item) for item in batch.items):
        call = Call(names.FETCH, names.FETCH_QUEUE, batch.to_wire())
        chords.send(current_app, call, awaited=False, **options)
        return
    batch = replace(batch, stage=next_stage(state, batch))
    if batch.stage < len(state.plan.stages):
        stage = state.plan.stages[batch.stage]
        call = Call(
            _DOCUMENT_TASK[stage.kind], stage.queue, carrying.packed(state, batch).to_wire()
        )
        chords.send(current_app, call, awaited=False, **options)
        return
    call = Call(names.INDEX, names.INDEX_QUEUE, carrying.bare(batch).to_wire())
    finish = Call(names.FINISH, names.INDEX_QUEUE, batch.collection)
    window = Chord(batch.group_id, batch.group_size, finish, awaited=False)
    chords.join(current_app, window, batch.group_index, call, **options)


def _wants_fetching(item: Mapping[str, Any]) -> bool:
    """Tell whether a document's medium is still only an address."""
    medium = item["content"].get(item["modality"])
    is_address = isinstance(medium, Mapping) and "url" in medium and "blob" not in medium
    return is_address and item["error"] is None


def next_stage(state: Runtime, batch: DocumentBatch) -> int:
    """Return the first stage from ``batch.stage`` on that has work to do on some document.

    Documents that brought their vector, were encoded before or have failed need no stage; a stage
    without a branch for a document's modality is none of its business.
    """
    items = batch.documents()
    for stage in state.plan.stages[batch.stage :]:
        if any(_wants(stage, item) for item in items):
            return stage.index
    return len(state.plan.stages)


def _wants(stage: StagePlan, item: DocumentItem) -> bool:
    """Tell whether a stage has work to do on a document."""
    if item.error is not None or stage.component(item.modality) is None:
        return False
    if stage.kind == "preprocess":
        return not (item.is_cut or item.embeddings or item.aside)
    return not item.has_rows(stage.vector, stage.index)
