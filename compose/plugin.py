"""What a plug-in file offers, read from its source without running a line of it.

A flow may name Python files (``py_path``) with components of its own. Validating a flow must not
execute them, so the classes, their options and defaults are read from the syntax tree.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from compose.builtin import engine_options
from compose.component import Component, Option

#: A base class whose name ends so makes its subclasses components of that kind.
_KIND_OF_BASE = {
    "Preprocessor": "preprocessor",
    "Encoder": "encoder",
    "Transform": "encoder",
    "Indexer": "index",
    "Engine": "index",
    "ScoreFunction": "score",
    "ScoreFn": "score",
    "Formula": "score",
    "Product": "score",
    "Reducer": "reducer",
    "Reranker": "reranker",
    "Router": "router",
}
#: What classes read whose base says so, unless they say otherwise.
_INPUTS_OF_BASE = {"Transform": ("embedding",), "Engine": ("embedding",)}
#: A class with one of these among its bases learns.
_LEARNING = frozenset({"Trainable", "TrainedTransform"})
_KNOWN = Mapping[str, Component]
_NOTHING = Component("", "")  # what a class inherits that extends no component
#: Larger files are no plug-in but data; parsing them would take seconds.
MAX_BYTES = 1024 * 1024


def describe(path: Path, known: _KNOWN | None = None) -> tuple[Component, ...]:
    """Return the components that a plug-in file defines.

    Args:
        path: the file.
        known: components by the names of their classes, which those of the file may extend.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no Python, or larger than ``MAX_BYTES``.
    """
    source = path.read_bytes()
    if len(source) > MAX_BYTES:
        raise ValueError(f"{len(source)} bytes are no plug-in; at most {MAX_BYTES}")
    try:
        tree = ast.parse(source, filename=str(path))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        found = [_component(node, classes, path, known or {}) for node in classes.values()]
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"no valid Python: {error}") from None
    return tuple(component for component in found if component is not None)


def _component(
    node: ast.ClassDef, classes: dict[str, ast.ClassDef], path: Path, known: _KNOWN
) -> Component | None:
    """Return what a class is: all that it says, and for the rest the component that it extends."""
    lineage = list(_lineage(node, classes))
    bases = [name for one in lineage for name in _base_names(one)]
    base = next((known[name] for name in bases if name in known), _NOTHING)
    kind = base.kind or next(filter(None, map(_kind, bases)), None)
    if kind is None or node.name.startswith("_"):
        return None
    constructor = next(filter(None, map(_constructor, lineage)), None)
    options = tuple(_options(constructor)) if constructor else base.options
    if kind == "index":
        options = engine_options(_declared(_attribute(lineage, "OPTIONS")))
    said: dict[str, Any] = {
        "inputs": _words(_attribute(lineage, "inputs")) or base.inputs or _inputs(bases),
        "outputs": _words(_attribute(lineage, "outputs")),
        "dim": _dim(lineage, options),
        "former_options": _former(_attribute(lineage, "former_options")),
        "learns": not _LEARNING.isdisjoint(bases),
        "keeps_dim": bool(_literal(_attribute(lineage, "keeps_dim"))),
        "takes_dim": _rules(_attribute(lineage, "takes_dim")),
        "metric": str(_literal(_attribute(lineage, "metric")) or ""),
    }
    return replace(
        base,
        kind=kind,
        name=node.name,
        aliases=_words(_attribute(lineage, "aliases")),
        module=str(path),
        summary=(ast.get_docstring(node) or "").partition("\n")[0],
        options=options,
        open_options=bool(constructor.args.kwarg) if constructor else base.open_options,
        **{name: value for name, value in said.items() if value},
    )


def _inputs(bases: list[str]) -> tuple[str, ...]:
    """Return what a class reads by what its bases are called."""
    endings = _INPUTS_OF_BASE.items()
    found = (inputs for name in bases for ending, inputs in endings if name.endswith(ending))
    return next(found, ())


def _dim(
    lineage: list[ast.ClassDef], options: tuple[Option, ...]
) -> int | Mapping[str, Any] | None:
    """Return the dimension a class declares, or the option that holds it."""
    fixed = _number(_attribute(lineage, "dim"))
    held_by = str(_literal(_attribute(lineage, "dim_option")) or "dim")
    if fixed or not any(option.name == held_by for option in options):
        return fixed
    doubling = _words(_attribute(lineage, "dim_doubling"))
    return {"option": held_by, **({"doubling": doubling} if doubling else {})}


def _declared(node: ast.expr | None) -> tuple[Option, ...]:
    """Return the options of an engine, which declares them with their defaults in a mapping."""
    value = _literal(node)
    given = value.items() if isinstance(value, dict) else ()
    return tuple(Option(str(name), "any", default) for name, default in given)


def _lineage(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> Iterator[ast.ClassDef]:
    """Yield the class and its bases within the file, nearest first; circles end it."""
    seen: set[str] = set()
    queue = [node]
    while queue:
        current = queue.pop(0)
        if current.name not in seen:
            seen.add(current.name)
            yield current
            queue += [classes[name] for name in _base_names(current) if name in classes]


def _base_names(node: ast.ClassDef) -> list[str]:
    bases = (base.value if isinstance(base, ast.Subscript) else base for base in node.bases)
    return [
        base.attr if isinstance(base, ast.Attribute) else base.id
        for base in bases
        if isinstance(base, ast.Attribute | ast.Name)
    ]


def _kind(base: str) -> str | None:
    """Return the kind of component that a base class of this name makes."""
    return next((kind for end, kind in _KIND_OF_BASE.items() if base.endswith(end)), None)


def _constructor(node: ast.ClassDef) -> ast.FunctionDef | None:
    functions = (item for item in node.body if isinstance(item, ast.FunctionDef))
    return next((item for item in functions if item.name == "__init__"), None)


def _options(constructor: ast.FunctionDef) -> Iterator[Option]:
    arguments = constructor.args
    plain = [*arguments.posonlyargs, *arguments.args][1:]
    gap = len(plain) - len(arguments.defaults)
    defaults = [None] * max(gap, 0) + list(arguments.defaults)
    pairs = [*zip(plain, defaults, strict=False)]
    pairs += [*zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]
    for argument, default in pairs:
        kind = ast.unparse(argument.annotation) if argument.annotation else "any"
        yield Option(argument.arg, kind, _literal(default), required=default is None)


def _attribute(lineage: list[ast.ClassDef], name: str) -> ast.expr | None:
    for item in (item for node in lineage for item in node.body):
        targets = item.targets if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return getattr(item, "value", None)
    return None


def _literal(node: ast.expr | None) -> object:
    try:
        return ast.literal_eval(node) if node is not None else None
    except (ValueError, TypeError):  # no literal, or one that cannot be made, such as {[]: 1}
        return None


def _words(node: ast.expr | None) -> tuple[str, ...]:
    value = _literal(node)
    return tuple(map(str, value)) if isinstance(value, list | tuple) else ()


def _former(node: ast.expr | None) -> Mapping[str, str | None]:
    value = _literal(node)
    return value if isinstance(value, dict) else {}


def _rules(node: ast.expr | None) -> Mapping[str, str]:
    value = _literal(node)
    return {str(rule): str(name) for rule, name in value.items()} if isinstance(value, dict) else {}


def _number(node: ast.expr | None) -> int | None:
    value = _literal(node)
    return value if isinstance(value, int) else None
