"""The options of a component as a flow file gives them: values, variables, faults."""

import re
from collections.abc import Mapping
from typing import Any

from compose.component import Component
from compose.errors import nearest, one_of
from compose.gnes import is_ignored, our_name
from compose.reading import Reading
from compose.source import Mark, Node, typed

_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_LIST = re.compile(r"\[(.*)\]", re.DOTALL)
#: As much of a wrong value as a fault shows.
_SHOWN = 60


def plain_options(node: Node | None, reading: Reading) -> dict[str, Any]:
    """Return the options of a mapping node as plain data, variables expanded."""
    if node is None or node.value is None:
        return {}
    if not node.is_mapping:
        reading.add(node.mark, "with", "is no mapping", expected="option: value")
        return {}
    return {name: _value(value, name, reading) for name, value in node.value.items()}


def _value(node: Node, key: str, reading: Reading) -> Any:
    """Return an option's value; a tagged one is a component of its own, as data."""
    if node.tag:
        inner = node.value.get("parameters", Node({}, node.mark)) if node.is_mapping else None
        return {"uses": node.tag, "options": plain_options(inner, reading)}
    if node.is_mapping:
        return {name: _value(value, name, reading) for name, value in node.value.items()}
    if node.is_list:
        return [_value(value, key, reading) for value in node.value]
    return _expanded(node, key, reading)


def _expanded(node: Node, key: str, reading: Reading) -> Any:
    """Replace ``$VAR`` by its value, read as a number, a boolean or a list where it is one."""
    value, environ = node.value, reading.environ
    if not isinstance(value, str) or environ is None or not _VARIABLE.search(value):
        return value
    for first, second in _VARIABLE.findall(value):
        name = first or second
        if name not in environ and not is_ignored(key):
            reading.add(node.mark, key, f"environment variable {name} is not set")
    return coerced(_VARIABLE.sub(lambda found: environ.get(found[1] or found[2], found[0]), value))


def coerced(text: str) -> Any:
    """Return what GNES makes of an expanded variable: number, boolean, list, None or the text."""
    listed = _LIST.fullmatch(text.strip())
    if listed:
        return [coerced(part.strip()) for part in listed.group(1).split(",") if part.strip()]
    return typed(text.strip())


def check_options(
    component: Component,
    given: Mapping[str, Any],
    *,
    places: Mapping[str, Mark],
    mark: Mark,
    reading: Reading,
) -> None:
    """Note every option that is unknown, missing or of a wrong type."""
    for name, value in given.items():
        _check_option(component, name, value, mark=places.get(name, mark), reading=reading)
    for wanted in component.options:
        if wanted.required and wanted.name not in given:
            problem = f"{component.name} needs the option {wanted.name!r}"
            reading.add(mark, wanted.name, problem, expected=wanted.words)


def _check_option(
    component: Component, name: str, value: Any, *, mark: Mark, reading: Reading
) -> None:
    option = component.option(name)
    if option is None:
        if not component.open_options:
            _unknown(component, name, mark=mark, reading=reading)
    elif not option.takes(value) and not _is_unexpanded(value):
        choices = option.allowed()
        expected = one_of(map(repr, choices)) if choices else option.words
        near = nearest(value, map(str, choices))
        problem = f"{repr(value)[:_SHOWN]} does not fit"
        reading.add(mark, name, problem, expected=expected, near=near)


def _unknown(component: Component, name: str, *, mark: Mark, reading: Reading) -> None:
    known = [option.name for option in component.options]
    renamed = our_name(component, name)
    near = renamed if renamed in known else nearest(name, known)
    problem = f"{component.name} has no option {name[:_SHOWN]!r}"
    reading.add(mark, name, problem, expected=one_of(known) or "no options", near=near or "")


def _is_unexpanded(value: Any) -> bool:
    """Whether a value still names a variable; its absence is a fault of its own."""
    return isinstance(value, str) and _VARIABLE.search(value) is not None
