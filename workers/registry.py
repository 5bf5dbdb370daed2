"""From a name in YAML to a component: aliases, plug-in files, entry points, dotted paths.

A name is looked up in the flow's ``py_path`` files (the last one first), then among the entry
points of the group ``gnes.components``, then in the catalog of this package, then as a dotted
path. Whatever is found is checked against the kind that is needed, and the options against its
``__init__``, before anything heavy happens.
"""

import difflib
import functools
import importlib
import inspect
import pkgutil
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from compose.plan import ComponentSpec
from indexstore import plugins
from indexstore.errors import PluginFileError
from workers.component import Component
from workers.errors import (
    OptionError,
    PluginError,
    UnknownComponentError,
    WrongKindError,
)
from workers.options import check_options, component_kind, options_of, with_present_names

T = TypeVar("T", bound=Component)

#: Packages whose modules define the built-in components.
HOMES = ("workers.preprocess", "workers.encode", "workers.score", "workers.reduce_ops")

#: Other distributions add components under this group: name = "package.module:Class".
ENTRY_POINTS = "gnes.components"

#: What stands for a list of components in YAML, by kind.
PIPELINES = {
    "preprocessor": "PipelinePreprocessor",
    "encoder": "PipelineEncoder",
    "score": "ScorePipeline",
}


def create(
    uses: str,
    options: Mapping[str, Any] | None = None,
    *,
    kind: type[T],
    py_path: Sequence[str] = (),
) -> T:
    """Create the component ``uses`` names; light, ``setup()`` is the caller's.

    Raises:
        UnknownComponentError: nothing has that name.
        WrongKindError: something has, but is no ``kind``.
        OptionError: an option is unknown, missing or of a wrong type.
        PluginError: a ``py_path`` file cannot be loaded.
    """
    cls = find(uses, kind=kind, py_path=py_path)
    given = with_present_names(cls, options or {})
    given |= _nested(cls, given, py_path)
    check_options(cls, given)
    try:
        return cls(**given)
    except ValueError as error:  # the component's own check of its options
        raise OptionError(cls.names()[0], (str(error),)) from error


def build(spec: ComponentSpec, *, kind: type[T]) -> T:
    """Create what a spec of the plan describes, pipelines included."""
    if not spec.pipeline:
        return create(spec.uses, spec.options, kind=kind, py_path=spec.py_path)
    parts = [build(part, kind=kind) for part in spec.pipeline]
    uses = spec.uses or PIPELINES[kind.kind]
    return create(uses, {**spec.options, "components": parts}, kind=kind, py_path=spec.py_path)


def assembled(written: Any, *, kind: type[T], py_path: Sequence[str] = ()) -> T:
    """Create a component as a flow file writes it: a name, ``{uses, with}``, or a list of these."""
    if isinstance(written, str):
        return create(written, kind=kind, py_path=py_path)
    if isinstance(written, Mapping):
        paths = (*py_path, *written.get("py_path", ()))
        return create(written["uses"], written.get("with"), kind=kind, py_path=paths)
    parts = [assembled(part, kind=kind, py_path=py_path) for part in written]
    return create(PIPELINES[kind.kind], {"components": parts}, kind=kind, py_path=py_path)


def find(uses: str, *, kind: type[T], py_path: Sequence[str] = ()) -> type[T]:
    """Return the class that ``uses`` names, checked to be a ``kind``."""
    wrong: type | None = None
    for candidate in _candidates(uses, py_path):
        if inspect.isabstract(candidate) or not issubclass(candidate, kind):
            wrong = wrong or candidate
            continue
        return candidate
    if wrong is not None:
        raise WrongKindError(uses, kind.kind, _described(wrong))
    known = [name for name, cls in _all_names(py_path) if issubclass(cls, kind)]
    raise UnknownComponentError(uses, kind.kind, difflib.get_close_matches(uses, known, n=2))


def load_plugin(path: str | Path) -> ModuleType:
    """Import a plug-in file under a name of its own; the same content is imported once.

    Raises:
        PluginError: the file is missing, or raised while it was imported.
    """
    try:
        return plugins.load_plugin(path)
    except PluginFileError as error:
        raise PluginError(error.path, error.trace) from error


def components_of(module: ModuleType, *, unfinished: bool = False) -> list[type[Component]]:
    """Return the components that a module defines itself, in order.

    With ``unfinished`` also those that lack a method; they are found so as to say what is missing.
    """
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Component)
        and value.__module__ == module.__name__
        and (unfinished or not inspect.isabstract(value))
        and not value.__name__.startswith("_")
    ]


@functools.cache
def builtins() -> tuple[type[Component], ...]:
    """Return every component of this package; the modules are light to import."""
    found: dict[type[Component], None] = {}
    for home in HOMES:
        package = importlib.import_module(home)
        for info in pkgutil.iter_modules(package.__path__, home + "."):
            if not info.ispkg and info.name.rpartition(".")[2] != "tasks":
                found |= dict.fromkeys(components_of(importlib.import_module(info.name)))
    return tuple(found)


def _nested(
    cls: type[Component], given: Mapping[str, Any], py_path: Sequence[str]
) -> dict[str, Any]:
    """Create the components that options hold: a name, ``{uses, with}``, or a list of these."""
    made: dict[str, Any] = {}
    for option in options_of(cls):
        kind = component_kind(option.annotation)
        value = given.get(option.name)
        if kind is not None and isinstance(value, list | tuple):
            made[option.name] = [_inner(part, kind, py_path) for part in value]
        elif kind is not None and value is not None:
            made[option.name] = _inner(value, kind, py_path)
    return made


def _inner(value: Any, kind: type[T], py_path: Sequence[str]) -> Any:
    """Return a component; what is described is created, anything else is left for the check."""
    is_described = isinstance(value, Mapping) and isinstance(value.get("uses"), str)
    if is_described or isinstance(value, str):
        return assembled(value, kind=kind, py_path=py_path)
    return value


def _candidates(uses: str, py_path: Sequence[str]) -> Iterator[type[Component]]:
    """Yield what has that name, later definitions first."""
    for path in reversed(py_path):
        yield from reversed(_named(uses, components_of(load_plugin(path), unfinished=True)))
    yield from _from_entry_points(uses)
    yield from _named(uses, builtins())
    if "." in uses or ":" in uses:
        yield _dotted(uses)


def _named(uses: str, classes: Iterable[type[Component]]) -> list[type[Component]]:
    return [cls for cls in classes if uses in cls.names()]


def _from_entry_points(uses: str) -> Iterator[type[Component]]:
    for point in entry_points(group=ENTRY_POINTS, name=uses):
        try:
            loaded = point.load()
        except Exception as error:
            raise PluginError(f"{point.value} (entry point)", traceback.format_exc()) from error
        yield _component(uses, loaded)


def _dotted(uses: str) -> type[Component]:
    """Import ``package.module.Class`` or ``package.module:Class``."""
    module, _, name = uses.replace(":", ".").rpartition(".")
    try:
        loaded = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownComponentError(uses, f"component ({error})") from error
    return _component(uses, loaded)


def _component(uses: str, loaded: object) -> type[Component]:
    if not (inspect.isclass(loaded) and issubclass(loaded, Component)):
        raise WrongKindError(uses, Component.kind, repr(loaded))
    return loaded


def _all_names(py_path: Sequence[str]) -> Iterator[tuple[str, type[Component]]]:
    plugins = [cls for path in py_path for cls in components_of(load_plugin(path))]
    for cls in (*plugins, *builtins()):
        yield from ((name, cls) for name in cls.names())


def _described(cls: type) -> str:
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        return f"an unfinished class (it lacks {missing})"
    kind = getattr(cls, "kind", "class")
    return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
