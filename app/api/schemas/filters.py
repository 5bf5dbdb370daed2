"""Filters over tags: checked by the index store's own parser, described here for OpenAPI.

One parser decides what a filter may say, so that what the API takes is what the shards understand.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainValidator, WithJsonSchema

from indexstore import filters
from indexstore.filter_parser import parse_filter

_SCALAR = {"type": ["string", "number", "boolean"]}
_BOUND = {"type": ["number", "string"]}
_KEY = {
    "type": "string",
    "minLength": 1,
    "description": "a tag's name; a dot descends: author.name",
}


def _one_of(properties: Mapping[str, Any], *, most: int, least: int = 1) -> dict[str, Any]:
    """Describe an object of one, or at most so many, of these properties."""
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "minProperties": least,
        "maxProperties": most,
    }


def _conditions() -> dict[str, Any]:
    """Describe a list of conditions."""
    return {"type": "array", "items": {"$ref": "#/components/schemas/Condition"}}


_MATCH = {
    "value": _SCALAR,
    "any": {"type": "array", "items": _SCALAR},
    "except": {"type": "array", "items": _SCALAR},
    "text": {"type": "string", "description": "all of these words, whatever their case and order"},
}
_TEST = {
    "key": _KEY,
    "match": _one_of(_MATCH, most=1),
    "range": _one_of(dict.fromkeys(("gt", "gte", "lt", "lte"), _BOUND), most=2),
    "is_empty": _one_of({"key": _KEY}, most=1),
    "has_id": {"type": "array", "items": {"type": "string"}},
}
_LEAST = {"type": "integer", "minimum": 0, "default": 1}
_MIN_SHOULD = {"conditions": _conditions(), "min_count": _LEAST}
#: What OpenAPI is told of filters, by name of the component.
SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "Filter": {
        "type": "object",
        "description": "All of must, any of should (or min_should of them), none of must_not.",
        "properties": {
            "must": _conditions(),
            "should": _conditions(),
            "must_not": _conditions(),
            "min_should": {"anyOf": [_LEAST, _one_of(_MIN_SHOULD, most=2, least=0)]},
        },
        "additionalProperties": False,
    },
    "Condition": {
        "description": "A test of one tag or of ids, or a nested filter.",
        "anyOf": [_one_of(_TEST, most=2), {"$ref": "#/components/schemas/Filter"}],
    },
}


@dataclass(frozen=True, slots=True)
class CheckedFilter:
    """A filter as JSON, which is what travels, and as the parser understood it."""

    plain: Mapping[str, Any]
    parsed: filters.Filter

    @classmethod
    def of(cls, value: Any) -> "CheckedFilter":
        """Check a JSON value.

        Raises:
            InvalidFilterError: it is no filter; it says where and why.
        """
        return cls(value, parse_filter(value))

    @property
    def depth(self) -> int:
        """Return how deep groups nest; a filter without groups in it is 1 deep."""
        return _depth(self.parsed)

    @property
    def is_empty(self) -> bool:
        """Tell whether it holds no condition, and so everything passes."""
        return not (self.parsed.must or self.parsed.should or self.parsed.must_not)


def _depth(group: filters.Filter) -> int:
    """Return how deep a parsed group nests."""
    parts = (*group.must, *group.should, *group.must_not)
    return 1 + max((_depth(part) for part in parts if isinstance(part, filters.Filter)), default=0)


FilterJson = Annotated[
    CheckedFilter,
    PlainValidator(CheckedFilter.of),
    WithJsonSchema({"$ref": "#/components/schemas/Filter"}),
]
