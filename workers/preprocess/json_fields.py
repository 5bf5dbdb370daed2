"""A field of a JSON object as a text that knows where each of its characters stands in the JSON."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import regex
from numpy.typing import NDArray

from workers.component import Source
from workers.errors import ContentError
from workers.preprocess.texts import text_from

_STRING = regex.compile(r'"(?:[^"\\]|\\.)*+"', regex.DOTALL)
#: A character as JSON writes it; two escapes of a surrogate pair are one.
_CHARACTER = regex.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[^\\]",
    regex.DOTALL,
)


def json_content(source: Source, field: str) -> Source:
    """Return the text of one field of a JSON object, the other fields added to its tags.

    Args:
        source: the JSON text.
        field: name of the field; dots lead into nested objects.

    Raises:
        ContentError: no JSON object, or no text in that field.
    """
    text = text_from(source)
    fields = _object(text.value)
    content = _field(fields, field)
    if not isinstance(content, str):
        raise ContentError(
            f"the JSON holds no text in {field!r}", "name the field that holds the text"
        )
    rest = {name: value for name, value in fields.items() if name != field}
    places = _places(text.value, content)
    if places is not None and text.origins is not None:
        places = text.origins[places]
    return replace(source, text=content, data=None, tags={**source.tags, **rest}, origins=places)


def _object(text: str) -> dict[str, Any]:
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"no valid JSON: {error}", "send one JSON object a document") from error
    if not isinstance(loaded, dict):
        raise ContentError(f"the JSON is a {type(loaded).__name__}, not an object")
    return loaded


def _field(fields: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path: the name itself, or names with dots between them."""
    if path in fields:
        return fields[path]
    value: Any = fields
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _places(text: str, content: str) -> NDArray[np.int32] | None:
    """Return where each character of the content stands in the JSON text; None when unclear."""
    for literal in _STRING.finditer(text):
        starts = [
            match.start()
            for match in _CHARACTER.finditer(text, literal.start() + 1, literal.end() - 1)
        ]
        if len(starts) == len(content) and json.loads(literal.group(), strict=False) == content:
            return np.array(starts, np.int32)
    return None
