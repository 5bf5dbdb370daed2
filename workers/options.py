"""The options of a component: read from its ``__init__``, checked against what YAML gives."""

import difflib
import inspect
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Union

from compose.gnes import GNES_VALUES
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
    def type_name(self) -> str:
        """The type as a reader of YAML understands it."""
        return type_name(self.annotation)


def options_of(cls: type[Component]) -> tuple[Option, ...]:
    """Return the options that a component class takes, in the order of its ``__init__``."""
    hints = typing.get_type_hints(cls.__init__)
    docs = option_docs(cls)
    return tuple(
        Option(name, hints.get(name, Any), parameter.default, docs.get(name, ""))
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        and parameter.kind is not inspect.Parameter.VAR_POSITIONAL
    )


def option_docs(cls: type[Component]) -> dict[str, str]:
    """Return the text of each option in the ``Args:`` section of the class's docstring."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", inspect.getdoc(cls) or "", re.MULTILINE)
    if section is None:
        return {}
    entries = re.findall(r"^ {4}(\w+):[ ]?(.*(?:\n {5,}.*)*)", section.group(1), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def with_present_names(cls: type[Component], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options under their present names; what GNES knew and nobody needs is left out."""
    former = cls.former_options
    present = {
        former.get(name, name): _present_value(value) if name in former else value
        for name, value in given.items()
    }
    return {name: value for name, value in present.items() if name is not None}


def _present_value(value: Any) -> Any:
    return GNES_VALUES.get(value, value) if isinstance(value, str) else value


def check_options(cls: type[Component], given: Mapping[str, Any]) -> None:
    """Refuse options that ``cls`` does not take; all faults in one error.

    Raises:
        OptionError: unknown, missing, or of a wrong type.
    """
    known = {option.name: option for option in options_of(cls)}
    faults = [_unknown(name, known) for name in given if name not in known]
    faults += [
        f"{name} must be {option.type_name}, not {given[name]!r}"
        for name, option in known.items()
        if name in given and not fits(given[name], option.annotation)
    ]
    faults += [
        f"{name} is missing ({option.type_name})"
        for name, option in known.items()
        if option.is_required and name not in given
    ]
    if faults:
        raise OptionError(cls.names()[0], faults)


def fits(value: Any, annotation: Any) -> bool:
    """Say whether a value from YAML may stand where ``annotation`` is asked for."""
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return any(value == choice and type(value) is type(choice) for choice in args)
    if origin in (Union, types.UnionType):
        return any(fits(value, arg) for arg in args)
    if inspect.isclass(origin) and issubclass(origin, Mapping):
        return isinstance(value, Mapping)
    if inspect.isclass(origin) and issubclass(origin, Sequence):
        return _fits_sequence(value, args)
    return _fits_plain(value, annotation)


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
