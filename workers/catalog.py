"""Writes compose/catalog.json: every built-in component as data, read from its code.

Run ``python -m workers.catalog`` after a component was added or changed; a test says when that was
forgotten. With ``--check`` nothing is written, and the exit status is 1 when the file is stale.
"""

import argparse
import json
import sys
import typing
from pathlib import Path
from typing import Any, Literal

import compose
from workers.component import Component, Encoder, Trainable
from workers.options import Option, options_of
from workers.registry import builtins

PATH = Path(compose.__file__).with_name("catalog.json")


def catalog() -> dict[str, Any]:
    """Return the catalog of all built-in components, ordered by kind and name."""
    found = sorted(builtins(), key=lambda cls: (cls.kind, cls.names()[0]))
    return {"components": [describe(cls) for cls in found]}


def describe(cls: type[Component]) -> dict[str, Any]:
    """Return one component as plain data."""
    name, *aliases = cls.names()
    entry = {
        "kind": cls.kind,
        "name": name,
        "aliases": aliases,
        "module": cls.__module__,
        "summary": (cls.__doc__ or "").strip().partition("\n")[0],
        "inputs": list(cls.inputs),
        "dim": _dim(cls),
        "options": [_option(cls, option) for option in options_of(cls)],
    }
    if cls.former_options:
        entry["former_options"] = dict(cls.former_options)
    if cls.outputs:
        entry["outputs"] = list(cls.outputs)
    if issubclass(cls, Trainable) and "components" not in {o.name for o in options_of(cls)}:
        entry["learns"] = True
    if issubclass(cls, Encoder):
        said = {"metric": cls.metric, "keeps_dim": cls.keeps_dim, "takes_dim": dict(cls.takes_dim)}
        entry |= {name: value for name, value in said.items() if value}
    return entry


def rendered() -> str:
    """Return the catalog as the file holds it."""
    return json.dumps(catalog(), indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Write the catalog, or only compare it; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m workers.catalog", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 when it is stale")
    text = rendered()
    if not parser.parse_args(arguments).check:
        PATH.write_text(text, encoding="utf-8")
        return 0
    is_fresh = PATH.is_file() and PATH.read_text(encoding="utf-8") == text
    if not is_fresh:
        sys.stderr.write(f"{PATH.name} is stale; cure: python -m workers.catalog\n")
    return 0 if is_fresh else 1


def _dim(cls: type[Component]) -> int | dict[str, Any] | None:
    """Return the fixed dimension, the option that holds it, or None: known only when running."""
    if not issubclass(cls, Encoder):
        return None
    fixed: Any = cls.dim  # a property where it follows from other components
    if isinstance(fixed, int) and fixed > 0:
        return fixed
    options = {option.name for option in options_of(cls)}
    if cls.dim_option not in options:
        return None
    doubling = {"doubling": list(cls.dim_doubling)} if cls.dim_doubling else {}
    return {"option": cls.dim_option, **doubling}


def _option(cls: type[Component], option: Option) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": option.name,
        "type": option.type_name,
        "default": None if option.is_required else option.default,
        "required": option.is_required,
        "doc": option.doc,
    }
    if option.name in cls.speed_options:
        entry["shapes"] = False
    choices = _choices(option.annotation)
    return entry | ({"choices": choices} if choices else {})


def _choices(annotation: Any) -> list[Any]:
    """Return the values a Literal allows, also inside of ``Literal[...] | None``."""
    if typing.get_origin(annotation) is Literal:
        return list(typing.get_args(annotation))
    return [choice for part in typing.get_args(annotation) for choice in _choices(part)]


if __name__ == "__main__":
    sys.exit(main())
