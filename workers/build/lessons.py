"""From training documents to trained components: the flow's own steps, up to those that learn."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compose.plan import StagePlan
from workers.component import Chunk, Source, Trainable
from workers.errors import ContentError, TrainingError
from workers.runtime import Runtime, branch_of
from workers.sources import medium_of

logger = logging.getLogger(__name__)

Document = Mapping[str, Any]  # modality, content, tags


@dataclass(frozen=True, slots=True)
class Lesson:
    """One component that was trained, where it stands in the flow, on how many documents."""

    stage: str
    branch: str
    component: Trainable
    documents: int


@dataclass(frozen=True, slots=True)
class _Class:
    """The training documents of one modality: their chunks, and the vectors made of these."""

    modality: str
    documents: int
    chunks: Sequence[Chunk]
    vectors: dict[str, NDArray[Any]]

    def seen_by(self, stage: StagePlan) -> Sequence[Chunk]:
        """Return what a stage encodes: the chunks, or vectors that an earlier stage made."""
        if stage.reads is None:
            return self.chunks
        return [
            Chunk(position, array=row, tags=chunk.tags)
            for position, (row, chunk) in enumerate(
                zip(self.vectors[stage.reads], self.chunks, strict=True)
            )
        ]


def learn(state: Runtime, documents: Sequence[Document], generation: int) -> list[Lesson]:
    """Train every component of the encode stages that learns; return them.

    Each is trained on what those before it make of the documents.

    Raises:
        TrainingError: nothing in the flow learns, or there is too little to learn from.
    """
    classes = list(_classes(state, documents))
    lessons: list[Lesson] = []
    stages = state.plan.stages_of("encode")
    for place, stage in enumerate(stages):
        is_read = any(later.reads == stage.vector for later in stages[place + 1 :])
        for pupils in _sharing(stage, classes):
            component = _trained(state, stage, pupils, generation)
            if component is not None:
                lessons += [_lesson(stage, one, component) for one in pupils]
            if is_read:
                encoder = component or state.component(stage, pupils[0].modality, generation)
                for one in pupils:
                    one.vectors[stage.vector] = np.asarray(encoder.encode(one.seen_by(stage)))
    if not lessons:
        raise TrainingError(
            state.collection, "no component of the flow that sees these documents learns"
        )
    return lessons


def _trained(
    state: Runtime, stage: StagePlan, pupils: Sequence[_Class], generation: int
) -> Any | None:
    """Return the stage's component, trained on these documents; None when it does not learn."""
    bare = state.bare_component(stage, pupils[0].modality)
    if not isinstance(bare, Trainable) or bare.is_trained:
        return None
    component = state.fresh_component(stage, pupils[0].modality)
    chunks = [chunk for one in pupils for chunk in one.seen_by(stage)]
    logger.info("%s learns from %d chunks (generation %d)", stage.name, len(chunks), generation)
    component.train(chunks)
    return component


def _lesson(stage: StagePlan, one: _Class, component: Trainable) -> Lesson:
    return Lesson(stage.name, branch_of(stage, one.modality), component, one.documents)


def _sharing(stage: StagePlan, classes: Sequence[_Class]) -> list[list[_Class]]:
    """Return the classes that a stage takes, those of one component together.

    A component for several modalities is one map into one space, so it learns from all of them.
    """
    groups: list[list[_Class]] = []
    for one in classes:
        spec = stage.component(one.modality)
        if spec is None:
            continue
        for group in groups:
            if stage.component(group[0].modality) == spec:
                group.append(one)
                break
        else:
            groups.append([one])
    return groups


def _classes(state: Runtime, documents: Sequence[Document]) -> Iterator[_Class]:
    """Yield the documents by modality, cut into chunks."""
    for modality in dict.fromkeys(str(document["modality"]) for document in documents):
        mine = [document for document in documents if document["modality"] == modality]
        chunks: list[Chunk] = []
        used = 0
        for document in mine:
            found = _chunks(state, document)
            used += bool(found)
            chunks += found
        if not chunks:
            reason = f"none of the {len(mine)} documents of {modality} could be cut into chunks"
            raise TrainingError(state.collection, f"{reason}; see the worker's log")
        yield _Class(modality, used, chunks, {})


def _chunks(state: Runtime, document: Document) -> list[Chunk]:
    """Return the chunks of one document, with its tags; none of one that cannot be cut."""
    modality = str(document["modality"])
    try:
        found = _cut(state, modality, document["content"])
    except ContentError as error:
        logger.warning("train: a document is left out: %s", error)
        return []
    return [replace(chunk, tags={**document["tags"], **chunk.tags}) for chunk in found]


def _cut(state: Runtime, modality: str, content: Mapping[str, Any]) -> list[Chunk]:
    if modality == "text":
        source = Source("text", text=content.get("text"))
    else:
        source = medium_of(state, modality, str(content[modality]["blob"]))
    for stage in state.plan.stages_of("preprocess"):
        if stage.component(modality) is not None:
            made: list[Chunk] = state.component(stage, modality).apply(source)
            return made
    return [Chunk(text=source.text)]
