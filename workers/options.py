"""The options of a component: read from its ``__init__``, checked against what YAML gives."""

import difflib
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from workers.component import Component
from workers.errors import OptionError

_WORDS: Mapping[Any, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}

_WORDS: Mapping[Any, str] = {
    int: "integer",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True, slots=True)
class Option:
    """One option: its name, its type, its default (``REQUIRED`` when it has none), its text."""

    name: str
    annotation: Any
    default: Any
    doc: str

    @property
    def is_required(self) -> bool:
        """Whether YAML must give it."""
        return self.default is REQUIRED

    @property
    def component_kind(annotation: Any) -> type[Component] | None:
    """Return the kind of component an option wants, of itself or in a list; None for plain ones."""
    if inspect.isclass(annotation) and issubclass(annotation, Component):
        return annotation
    parts = (component_kind(part) for part in typing.get_args(annotation))
    return next((kind for kind in parts if kind is not None), None)


def type_name(annotation: Any) -> str:
    """Return a type's name in plain words: ``integer``, ``one of a, b``, ``list of text``."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return "one of " + ", ".join(map(str, args))
    if origin in (Union, types.UnionType):
        return " or ".join(type_name(arg) for arg in args)
    if inspect.isclass(origin):
        return _container_name(origin, args)
    if inspect.isclass(annotation) and issubclass(annotation, Component):
        return f"a component of kind {annotation.kind}"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation)))


def _container_name(origin: type, args: tuple[Any, ...]) -> str:
    if issubclass(origin, Mapping):
        return "mapping"
    return f"list of {type_name(args[0])}" if args else "list"


def _unknown(name: str, known: Mapping[str, Option]) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"unknown option {name!r}, did you mean {near[0]!r}?"
    listed = ", ".join(known) or "none"
    return f"unknown option {name!r}, it takes {listed}"


def _fits_sequence(value: Any, args: tuple[Any, ...]) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return not args or all(fits(item, args[0]) for item in value)


def _fits_plain(value: Any, annotation: Any) -> bool:
    if annotation is Any:
        return True
    if isinstance(value, bool):
        return annotation is bool
    if annotation is float:
        return isinstance(value, int | float)
    return isinstance(value, annotation) if inspect.isclass(annotation) else True
