"""The demo's corpus: the docstrings of the standard library and of the installed packages.

Sources are read and parsed, never imported: importing two hundred packages would run their code.
"""

import ast
import importlib
import inspect
import re
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module

KINDS: dict[type[ast.AST], str] = {
    ast.Module: "module",
    ast.ClassDef: "class",
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "function",
}
SHORTEST_CHARS = 20
"""Shorter docstrings ("See above.") tell nobody what a thing does."""
LONGEST_CHARS = 400
SHORT_CHARS = 240
"""A summary says best what a thing is for; details further down dilute it."""
LARGEST_FILE_BYTES = 400_000
SKIPPED = frozenset(("test", "tests", "idlelib", "lib2to3", "turtledemo", "_vendor", "vendor"))
ENOUGH = 6_000
"""The whole standard library, and the first of the packages."""
FROM_STDLIB = "python"
COMPILED = (
    *("builtins", "array", "binascii", "bisect", "csv", "datetime", "functools", "hashlib"),
    *("heapq", "itertools", "math", "operator", "os", "random", "select", "struct", "sys"),
    *("threading", "time", "zlib"),
)
"""Modules of the standard library that are compiled, wholly or where it matters."""
HOMES = {"os": "posix", "threading": "thread"}
"""Where modules have what they are known for, when it is not ``_name``."""

PUBLIC_NAMES = {f"posixpath.{name}": f"os.path.{name}" for name in dir(sys.modules["posixpath"])}
"""A few names under which everybody knows a thing that is defined elsewhere."""


def corpus(limit: int = ENOUGH) -> list[dict[str, Any]]:
    """Return at most ``limit`` documents: the standard library first, then packages by name.

    What is said of several things is told of the first. A text begins with the name of its thing,
    by which it is found as well.
    """
    documents: dict[str, dict[str, Any]] = {}
    told: set[str] = set()
    for document in _all():
        name, text = document["id"], document["text"]
        if name not in documents and text not in told:
            documents[name] = {**document, "text": f"{name}: {text}"}
            told.add(text)
        if len(documents) >= limit:
            break
    return list(documents.values())


def _all() -> Iterator[dict[str, Any]]:
    yield from _builtins()
    stdlib = Path(sysconfig.get_path("stdlib"))
    yield from _of_tree(stdlib, FROM_STDLIB)
    for name in ("purelib", "platlib"):
        folder = Path(sysconfig.get_path(name))
        for package in sorted(p for p in folder.iterdir() if (p / "__init__.py").exists()):
            yield from _of_tree(package, package.name, prefix=(package.name,))


def _builtins() -> Iterator[dict[str, Any]]:
    """Yield what is written in C and has no source to parse: built-ins and their methods too."""
    for name in COMPILED:
        for key, value in sorted(vars(importlib.import_module(name)).items()):
            if key.startswith("_") or not callable(value) or not _is_at_home(value, key, name):
                continue
            public = key if name == "builtins" else f"{name}.{key}"
            kind = "class" if inspect.isclass(value) else "function"
            yield from _document(public, inspect.getdoc(value), name, kind, FROM_STDLIB)
            for method in sorted(vars(value)) if inspect.isclass(value) else ():
                if not method.startswith("_"):
                    doc = inspect.getdoc(getattr(value, method))
                    yield from _document(f"{public}.{method}", doc, name, "method", FROM_STDLIB)


def _is_at_home(value: Any, key: str, module: str) -> bool:
    """Tell whether a module defines a thing itself, rather than borrowing it from another."""
    owner = str(getattr(value, "__module__", None) or module).lstrip("_")
    homes = {module, HOMES.get(module, module)}
    return owner in homes and getattr(value, "__name__", key) == key


def _of_tree(folder: Path, package: str, prefix: tuple[str, ...] = ()) -> Iterator[dict[str, Any]]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        if SKIPPED.intersection(parts) or "site-packages" in parts or "dist-packages" in parts:
            continue
        names = tuple(part for part in parts if part != "__init__")
        if any(name.startswith("_") for name in names):
            continue
        yield from _of_file(path, ".".join((*prefix, *names)), package)


def _of_file(path: Path, module: str, package: str) -> Iterator[dict[str, Any]]:
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            return
        tree = ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return  # a template or a test of syntax errors; there are plenty of others
    yield from _of_node(tree, module, module, package)


def _of_node(node: Documented, name: str, module: str, package: str) -> Iterator[dict[str, Any]]:
    yield from _document(name, ast.get_docstring(node), module, KINDS[type(node)], package)
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not (
            inner.name.startswith("_")
        ):
            yield from _of_node(inner, f"{name}.{inner.name}", module, package)


def _document(
    name: str, docstring: str | None, module: str, kind: str, package: str
) -> Iterator[dict[str, Any]]:
    text = first_paragraphs(docstring or "")
    if len(text) >= SHORTEST_CHARS:
        tags = {"module": module, "kind": kind, "package": package}
        yield {"id": PUBLIC_NAMES.get(name, name), "text": text, "tags": tags}


_SIGNATURE = re.compile(r"[\w.]+\([^()]*\)( -> .{1,40})?")
"""How many docstrings of compiled functions begin; it says how to call, not what for."""


def first_paragraphs(docstring: str) -> str:
    """Return the summary, and what follows it while the whole stays short."""
    parts = (" ".join(part.split()) for part in docstring.split("\n\n"))
    paragraphs = (part for part in parts if part and not _SIGNATURE.fullmatch(part))
    text = next(paragraphs, "")[:LONGEST_CHARS]
    for paragraph in paragraphs:
        if len(text) + len(paragraph) > SHORT_CHARS:
            break
        text = f"{text}\n\n{paragraph}"
    return text
