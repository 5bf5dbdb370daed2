"""The JSON Schema of flow files, for editors: made from the keys and the catalog.

It guides and completes; what is right is decided by ``compose.load``, which also knows files,
plug-ins, dimensions and modalities.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from compose.catalog import KIND_OF_SERVICE, Catalog, default_catalog, kinds_for
from compose.component import Component, Option
from compose.keys import BRANCH_SERVICES, BRANCHES, FLOW, SCORE, STEP, WORKERS, Key

#: JSON's names for the words that the catalog uses.
_TYPES: Mapping[str, str] = {
    "int": "integer", "integer": "integer", "float": "number", "number": "number",
    "str": "string", "text": "string", "string": "string", "bool": "boolean",
    "boolean": "boolean", "none": "null", "null": "null", "list": "array", "tuple": "array",
    "sequence": "array", "array": "array", "dict": "object", "mapping": "object",
    "object": "object",
}  # fmt: skip


def flow_schema(catalog: Catalog | None = None) -> dict[str, Any]:
    """Return the schema of a flow file (draft 7, which editors understand best)."""
    known = catalog or default_catalog()
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "A GNES flow",
        **_object(FLOW),
        "required": ["services"],
        "$defs": {
            "service": _service(known),
            "component": _component(),
            "score": _object(SCORE),
            "workers": _object(WORKERS),
        },
    }


def _object(keys: Iterable[Key]) -> dict[str, Any]:
    properties = {key.name: {"description": key.doc, **_value(key)} for key in keys}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _value(key: Key) -> dict[str, Any]:
    """Return a key's schema; draft 7 ignores what stands beside a ``$ref``."""
    return {"allOf": [dict(key.schema)]} if "$ref" in key.schema else dict(key.schema)


def _component() -> dict[str, Any]:
    """Return what may stand for a component: a name, a mapping, or several in a list."""
    mapping = {"type": "object", "properties": {"uses": True, "with": {"type": "object"}}}
    several = {"type": "array", "items": {"$ref": "#/$defs/component"}}
    return {"oneOf": [{"type": "string"}, mapping, several]}


def _service(catalog: Catalog) -> dict[str, Any]:
    schema = _object((*STEP, *BRANCHES))
    schema["properties"]["name"] |= {"enum": list(KIND_OF_SERVICE)}
    schema["required"] = ["name"]
    schema["allOf"] = list(_conditions(catalog))
    return schema


def _conditions(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Yield what a service's name says of its component, and a component of its options."""
    for service in KIND_OF_SERVICE:
        kinds = kinds_for(service)
        found = [component for component in catalog.components if component.kind in kinds]
        named = {"properties": {"name": {"const": service}}, "required": ["name"]}
        names = [name for component in found for name in (component.name, *component.aliases)]
        then: dict[str, Any] = {
            "properties": {"uses": {"anyOf": [{"enum": names}, {"$ref": "#/$defs/component"}]}}
        }
        if service not in BRANCH_SERVICES:
            then["properties"] |= {key.name: False for key in BRANCHES}
        if service != "Indexer":
            then["properties"]["shards"] = False
        yield {"if": named, "then": then}
        yield from (_options(service, component) for component in found if component.options)


def _options(service: str, component: Component) -> dict[str, Any]:
    condition = {
        "properties": {"name": {"const": service}, "uses": {"const": component.name}},
        "required": ["name", "uses"],
    }
    options: dict[str, Any] = {
        "type": "object",
        "additionalProperties": component.open_options,
        "properties": {option.name: _option(option) for option in component.options},
    }
    if required := [option.name for option in component.options if option.required]:
        options["required"] = required
    return {"if": condition, "then": {"properties": {"with": options}}}


def _option(option: Option) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": option.doc, "default": option.default}
    words = [_TYPES.get(word) for word in option.types()]
    if allowed := option.allowed():
        schema["enum"] = [*allowed, *([None] if option.takes(None) else [])]
    elif all(words):
        # A variable is text until it is expanded.
        schema["anyOf"] = [{"type": sorted({str(word) for word in words})}, _VARIABLE]
    return schema


_VARIABLE = {"type": "string", "pattern": "^\\$"}
