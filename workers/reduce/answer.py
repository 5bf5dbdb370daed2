"""From rankings to what the API sends out: JSON hits, each query's as one run of bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from compose.wire.messages import SearchParams
from indexstore.model import LiveDocument
from workers.reduce.highlight import highlight, query_words
from workers.reduce.merge import Candidate, ChunkColumns

Live = Mapping[str, LiveDocument | None]


class Answerer:
    """Formats the hits of one batch.

    Args:
        params: what the batch asked for. live: the ledger's word on every candidate.
    """

    def __init__(self, params: SearchParams, live: Live) -> None:
        self._params = params
        self._live = live
        self._columns: dict[int, ChunkColumns] = {}

    def hits(self, candidates: Sequence[Candidate], text: str) -> tuple[bytes, int]:
        """Return one query's hits as JSON, and how many candidates had to be dropped."""
        alive = [candidate for candidate in candidates if self._is_live(candidate)]
        first = self._params.offset
        shown = alive[first : first + self._params.limit]
        words = query_words(text) if self._params.highlight else frozenset()
        rows = [self._hit(candidate, words) for candidate in shown]
        return orjson.dumps(rows), len(candidates) - len(alive)

    def _is_live(self, candidate: Candidate) -> bool:
        document = self._live[candidate.doc_id]
        if document is None:
            return False
        if not document.content_version <= candidate.version <= document.version:
            return False
        threshold = self._params.score_threshold
        return threshold is None or candidate.score >= threshold

    def _hit(self, candidate: Candidate, words: frozenset[str]) -> dict[str, Any]:
        document = self._live[candidate.doc_id]
        if document is None:
            raise KeyError(candidate.doc_id)
        hit: dict[str, Any] = {"id": candidate.doc_id, "score": candidate.score}
        if self._params.with_content:
            hit["content"] = document.content
            hit["tags"] = document.tags
        hit["version"] = document.version
        hit["chunks"] = self._chunks(candidate, str(document.content.get("text") or ""), words)
        return hit

    def _chunks(
        self, candidate: Candidate, text: str, words: frozenset[str]
    ) -> list[dict[str, Any]]:
        part = candidate.part
        if part.chunk_positions is None or part.chunk_scores is None:
            return []
        columns = self._columns.setdefault(id(part), ChunkColumns.of(part))
        chunks: list[dict[str, Any]] = []
        for row in columns.range_of(candidate.row):
            chunk: dict[str, Any] = {
                "position": int(part.chunk_positions[row]),
                "score": float(part.chunk_scores[row]),
            }
            if part.chunk_spans is not None:
                start, end = part.chunk_spans[row].tolist()
                if text and start >= 0:  # characters; seconds or pixels otherwise
                    start, end = int(start), int(end)
                    chunk |= self._excerpt(text[start:end], words)
                chunk["span"] = [start, end]
            chunks.append(chunk)
        return chunks

    def _excerpt(self, text: str, words: frozenset[str]) -> dict[str, str]:
        excerpt = {"text": text} if self._params.with_content else {}
        if self._params.highlight:
            excerpt["highlight"] = highlight(text, words)
        return excerpt
