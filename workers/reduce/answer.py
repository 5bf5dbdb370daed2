"""From rankings to what the API sends out: JSON hits, each query's as one run of bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from compose.plan import Plan
from compose.wire.messages import SearchParams, ShardPart
from indexstore.model import ChunkTable, LiveDocument
from indexstore.spans import shown
from workers.reduce.explain import Tree, explain_document, explain_fusion, explain_words
from workers.reduce.fusion import Fusion
from workers.reduce.highlight import highlight, query_words
from workers.reduce.merge import Candidate, ChunkColumns
from workers.reduce.reranking import explain_reranking

Live = Mapping[str, LiveDocument | None]
Chunks = Callable[[Sequence[str]], Mapping[str, ChunkTable]]


class Answerer:
    """Formats the hits of one batch.

    Args:
        params: what the batch asked for.
        live: the ledger's word on every candidate.
        plan: the flow's indexes, and how it fuses them.
        chunks: looks up the chunks of documents, with the vectors that were asked for.
    """

    def __init__(self, params: SearchParams, live: Live, plan: Plan, chunks: Chunks) -> None:
        self._params = params
        self._indexes = plan.indexes
        self._fusion = Fusion.of(plan.score, params.weights)
        self._live = live
        self._look_up = chunks
        self._stored: Mapping[str, ChunkTable] = {}
        self._columns: dict[int, ChunkColumns] = {}

    def hits(self, candidates: Sequence[Candidate], text: str) -> tuple[bytes, int]:
        """Return one query's hits as JSON, and how many candidates are alive."""
        alive = [candidate for candidate in candidates if self._is_live(candidate)]
        first = self._params.offset
        shown = alive[first : first + self._params.limit]
        threshold = self._params.score_threshold
        if self._params.with_vector:
            self._stored = self._look_up([candidate.doc_id for candidate in shown])
        words = query_words(text) if self._params.highlight else frozenset()
        rows = [
            self._hit(candidate, words)
            for candidate in shown
            if threshold is None or candidate.score >= threshold
        ]
        return orjson.dumps(rows), len(alive)

    def _is_live(self, candidate: Candidate) -> bool:
        document = self._live[candidate.doc_id]
        if document is None:
            return False
        return document.content_version <= candidate.version <= document.version

    def _hit(self, candidate: Candidate, words: frozenset[str]) -> dict[str, Any]:
        document = self._live[candidate.doc_id]
        if document is None:
            raise KeyError(candidate.doc_id)
        hit: dict[str, Any] = {"id": candidate.doc_id, "score": candidate.score}
        if self._params.with_content:
            hit["content"] = document.content
            hit["tags"] = document.tags
        hit["version"] = document.version
        if self._params.highlight and (marked := _marked(candidate)):
            hit["highlight"] = marked
        chunks = self._chunks(candidate, str(document.content.get("text") or ""), words)
        hit["chunks"] = chunks[: self._params.group_size]
        if self._params.with_vector:
            self._add_vectors(candidate, hit["chunks"])
        if self._params.explain:
            hit["explanation"] = self._explanation(candidate, chunks, document.weight)
        return hit

    def _add_vectors(self, candidate: Candidate, chunks: Sequence[dict[str, Any]]) -> None:
        """Show each chunk's vector as it was encoded; a flow of words alone has none."""
        table, index = self._stored.get(candidate.doc_id), self._indexes[candidate.part.index]
        near = [each for each in (index, *self._indexes) if each.kind == "vector"]
        if table is None or not near or near[0].vector not in table.embeddings:
            return
        rows = dict(
            zip(table.positions.tolist(), table.embeddings[near[0].vector].tolist(), strict=True)
        )
        for chunk in chunks:
            chunk["vector"] = rows.get(chunk["position"])

    def _explanation(
        self, candidate: Candidate, chunks: Sequence[Mapping[str, Any]], weight: float
    ) -> Tree:
        if candidate.former is not None:
            tree = self._explanation(candidate.former, chunks, weight)
            return explain_reranking(candidate, tree)
        if not candidate.origins:
            return self._in_one_index(candidate, chunks, weight)
        trees = [
            self._in_one_index(found, self._chunks(found, "", frozenset()), weight)
            for origin in candidate.origins
            if (found := origin.found) is not None
        ]
        return explain_fusion(candidate, self._fusion, trees)

    def _in_one_index(
        self, candidate: Candidate, chunks: Sequence[Mapping[str, Any]], weight: float
    ) -> Tree:
        if candidate.rescored is not None:
            explained: Tree = candidate.rescored.explain(candidate.number)
            return explained
        index = self._indexes[candidate.part.index]
        if index.kind == "text":
            return explain_words(candidate.score)
        reduction = str(index.options.get("score", "sum"))
        return explain_document(candidate.score, chunks, weight=weight, reduction=reduction)

    def _chunks(
        self, candidate: Candidate, text: str, words: frozenset[str]
    ) -> list[dict[str, Any]]:
        columns = self._columns_of(candidate.part)
        chunks: list[dict[str, Any]] = []
        for row in columns.range_of(candidate.row):
            chunk: dict[str, Any] = {
                "position": columns.positions[row],
                "score": columns.scores[row],
            }
            if columns.spans is not None:
                span = shown(columns.spans[row])
                if text and span[0] >= 0:  # characters; seconds or pixels otherwise
                    start, end = int(span[0]), int(span[1])
                    span = [start, end]
                    chunk |= self._excerpt(text[start:end], words)
                chunk["span"] = span
            chunks.append(chunk)
        return chunks

    def _columns_of(self, part: ShardPart) -> ChunkColumns:
        columns = self._columns.get(id(part))
        if columns is None:
            columns = self._columns[id(part)] = ChunkColumns.of(part)
        return columns

    def _excerpt(self, text: str, words: frozenset[str]) -> dict[str, str]:
        excerpt = {"text": text} if self._params.with_content else {}
        if self._params.highlight:
            excerpt["highlight"] = highlight(text, words)
        return excerpt


def _marked(candidate: Candidate) -> str:
    """Return the excerpt that a full-text index shows of a document; "" where none found it."""
    finders = [origin.found for origin in candidate.origins] or [candidate]
    for found in finders:
        if found is not None and found.part.highlights:
            return found.part.highlights[found.row]
    return ""
