"""What preprocessors learnt about the chunks of a document, as tags of the document."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from math import isfinite
from typing import Any

from workers.component import Chunk

logger = logging.getLogger(__name__)

#: Of one document as JSON, as much as a user may give; a table of contents is far smaller.
MOST_BYTES = 64 * 1024
_DEEPEST = 8
_LARGEST = 2**63  # integers of messages have 64 bits


def found_tags(chunks: Sequence[Chunk]) -> dict[str, Any]:
    """Return the tags of all chunks as one mapping.

    What is the same in all of them stays as it is, such as the title of a JSON document; lists are
    joined, such as the headings over the sections of a page; what differs becomes a list. What
    tags cannot hold (numbers that are none, things nested very deeply, too much) is left out.
    """
    names = dict.fromkeys(name for chunk in chunks for name in chunk.tags)
    tags: dict[str, Any] = {}
    size = 2
    for name in names:
        value = _joined(chunk.tags[name] for chunk in chunks if name in chunk.tags)
        taken = _size_of({name: value})
        if taken is None or size + taken > MOST_BYTES:
            logger.warning("tag %.40r of a document is left out: it is too large or no JSON", name)
            continue
        tags[name] = value
        size += taken
    return tags


def _joined(values: Iterable[Any]) -> Any:
    """Return one value of those of several chunks."""
    distinct: list[Any] = []
    are_lists = False
    for value in values:
        are_lists = are_lists or isinstance(value, list | tuple)
        parts = value if isinstance(value, list | tuple) else (value,)
        distinct += [part for part in parts if part not in distinct]
    return distinct if are_lists or len(distinct) != 1 else distinct[0]


def _size_of(tags: dict[str, Any]) -> int | None:
    """Return the bytes of tags as JSON; None where a message or the ledger could not hold them."""
    return len(json.dumps(tags)) if _is_plain(tags) else None


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether a value is of texts, finite numbers, lists and mappings, not too deep."""
    if isinstance(value, dict):
        inner = (isinstance(key, str) and _is_plain(part, depth + 1) for key, part in value.items())
        return depth < _DEEPEST and all(inner)
    if isinstance(value, list | tuple):
        return depth < _DEEPEST and all(_is_plain(part, depth + 1) for part in value)
    if isinstance(value, int):
        return abs(value) < _LARGEST
    return value is None or isinstance(value, str) or (isinstance(value, float) and isfinite(value))
