"""Preprocessors one after another: each cuts the chunks of the one before."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np

from workers.component import (
    Chunk,
    Component,
    Cursor,
    Modality,
    Placed,
    Preprocessor,
    Source,
    Streaming,
)
from workers.errors import ContentError

_TINY = 1e-12
_TIMES = 2  # numbers of a span of time; four are a box


class PreprocessorPipeline(Streaming):
    """Runs preprocessors one after another; what YAML writes as a list.

    Each cuts the chunks of the one before. Weights multiply, spans stay places in the original,
    tags of inner chunks are added to those of outer ones.

    Args:
        components: the preprocessors, in order.
    """

    aliases = ("PipelinePreprocessor",)

    def __init__(self, *, components: Sequence[Preprocessor]) -> None:
        if not components:
            raise ValueError("a pipeline needs at least one component")
        self.components = tuple(components)

    def setup(self) -> None:
        """Set all components up."""
        for component in self.components:
            component.setup()

    def stream(self, source: Source, cursor: Cursor) -> Generator[Chunk | None]:
        """Cut the source by the first component, each of its chunks by the second, and so on."""
        cursor.setdefault("outer", [])
        for chunk in self._outer(source, cursor):
            if chunk is None:
                yield None
                continue
            parts = self._parts(chunk, source.modality)
            cursor["outer"].append([chunk.weight, list(chunk.span), len(parts)])
            yield from parts
        if not any(count for _, _, count in cursor["outer"]):
            name = _name(self.components[-1])
            raise ContentError(f"{name} and those before it left nothing of the document")

    def settle(self, placed: Placed, cursor: Cursor) -> Placed:
        """Settle the outer chunks; what was cut from them follows."""
        first = self.components[0]
        if not isinstance(first, Streaming):
            return placed
        weights, spans, counts = zip(*cursor["outer"], strict=True)
        outer = Placed(np.array(weights, np.float64), np.array(spans, np.float64))
        settled = first.settle(outer, cursor["first"])
        owner = np.repeat(np.arange(len(counts)), counts)
        factors = settled.weights / np.maximum(outer.weights, _TINY)
        places = placed.spans
        if places.shape[1] == outer.spans.shape[1]:
            is_whole = (places == outer.spans[owner]).all(axis=1, keepdims=True)
            places = np.where(is_whole, settled.spans[owner], places)
        return Placed(placed.weights * factors[owner], places)

    def _outer(self, source: Source, cursor: Cursor) -> Iterator[Chunk | None]:
        """Yield the chunks of the first component, those not cut further yet."""
        first = self.components[0]
        if isinstance(first, Streaming):
            yield from first.stream(source, cursor.setdefault("first", {}))
            return
        for chunk in first.apply(source)[len(cursor["outer"]) :]:
            yield chunk
            yield None

    def _parts(self, chunk: Chunk, modality: Modality) -> list[Chunk]:
        """Return what the later components make of a chunk of the first."""
        chunks = [chunk]
        for component in self.components[1:]:
            chunks = [part for whole in chunks for part in _cut(component, whole, modality)]
        return chunks


def _cut(component: Preprocessor, chunk: Chunk, modality: Modality) -> list[Chunk]:
    """Cut one chunk; a chunk in which a later step finds nothing is dropped."""
    origins = chunk.origins
    if origins is None and chunk.text is not None:
        start, end = (int(place) for place in chunk.span)
        origins = np.arange(start, end, dtype=np.int32) if end > start >= 0 else None
    kind: Modality = "text" if chunk.text is not None else modality
    inner = Source(kind, text=chunk.text, array=chunk.array, tags=chunk.tags, origins=origins)
    return [_inside(chunk, part) for part in component.apply(inner)]


def _inside(outer: Chunk, part: Chunk) -> Chunk:
    """Return a part with the weight, tags and (for media) the place of what it was cut from."""
    has_place = part.span[0] >= 0 or outer.text is not None
    return replace(
        part,
        weight=outer.weight * part.weight,
        tags={**outer.tags, **part.tags},
        span=_place(outer, part) if has_place else outer.span,
    )


def _place(outer: Chunk, part: Chunk) -> tuple[float, ...]:
    """Return where a part stands in the original; parts of media count from their chunk's start."""
    if outer.array is None or outer.span[0] < 0 or len(outer.span) != len(part.span):
        return part.span
    if len(part.span) == _TIMES:
        return (outer.span[0] + part.span[0], outer.span[0] + part.span[1])
    (left, top, right, bottom), (height, width) = outer.span, outer.array.shape[:2]
    across, down = (right - left) / width, (bottom - top) / height
    x0, y0, x1, y1 = part.span
    return (left + x0 * across, top + y0 * down, left + x1 * across, top + y1 * down)


def _name(component: Component) -> str:
    return type(component).names()[0]
