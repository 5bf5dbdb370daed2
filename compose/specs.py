"""From a YAML node to the component it names: classes, component files, pipelines, options.

Three ways lead to a component: ``uses`` (an alias of the catalog, a class of a plug-in file, a
dotted path), GNES's ``yaml_path`` (a file, a class name or an inline ``!Class``), and a tagged
mapping. All end in a ``ComponentSpec`` whose options have been checked. Faults are collected.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from compose.catalog import Catalog
from compose.component import Component
from compose.errors import Fault, FlowError, nearest, one_of
from compose.gnes import is_ignored, our_name, translated
from compose.plan import ComponentSpec
from compose.plugin import describe
from compose.source import MAX_CHARACTERS, Mark, Node, read_yaml, typed

#: Files that name files that name files: deeper than this is a mistake, or meant as one.
MAX_FILE_DEPTH = 8
_FILE_ENDINGS = (".yml", ".yaml")
_DOTTED = re.compile(r"[A-Za-z_]\w*([.:][A-Za-z_]\w*)+")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|([A-Za-z_]\w*))")
_LIST = re.compile(r"\[(.*)\]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec and what the catalog says about its ends: what goes in, what comes out."""

    spec: ComponentSpec
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dim: int | None = None
    kind: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict)

    @classmethod
    def chain(cls, parts: list["Resolved"]) -> "Resolved":
        """Join components that run one after another."""
        spec = ComponentSpec("", pipeline=tuple(part.spec for part in parts))
        last = parts[-1]
        return cls(spec, parts[0].inputs, last.outputs, last.dim, last.kind, last.marks)


@dataclass(slots=True)
class Reading:
    """What reading one flow may touch, and what it has found wrong so far.

    ``folder`` None means that no file is read and none may be named as a plug-in; ``environ`` None
    that ``$VAR`` stays as written: so is text treated that comes from a stranger.
    """

    catalog: Catalog
    folder: Path | None = None
    environ: Mapping[str, str] | None = None
    faults: list[Fault] = field(default_factory=list)
    digests: set[str] = field(default_factory=set)

    def add(
        self, mark: Mark, key: str, problem: str, *, expected: str = "", near: str = ""
    ) -> None:
        """Note one fault and go on."""
        self.faults.append(mark.fault(key, problem, expected=expected, nearest=near))


@dataclass(frozen=True, slots=True)
class SpecReader:
    """Reads the components of one service; ``folder`` is where relative paths begin."""

    reading: Reading
    kinds: tuple[str, ...]
    folder: Path | None
    plugins: tuple[Path, ...] = ()
    depth: int = 0

    def with_plugins(self, node: Node | None) -> "SpecReader":
        """Return a reader that also knows the classes of these ``py_path`` files."""
        if node is None:
            return self
        paths = tuple(self._plugin_paths(node))
        return replace(self, plugins=self.plugins + paths)

    def read(self, node: Node, key: str) -> Resolved | None:
        """Return the component a node describes; None (and a fault) when it describes none."""
        if node.tag:
            return self._tagged(node)
        if node.is_list:
            return self.pipeline(node, key)
        if node.is_mapping:
            return self._inline(node, key)
        if isinstance(node.value, str):
            return self.named(node.value, node.mark, key)
        expected = "a component's name, a mapping with `uses`, or a list of these"
        self.reading.add(node.mark, key, f"{node.value!r} is no component", expected=expected)
        return None

    def named(
        self, name: str, mark: Mark, key: str, *, options: Node | None = None
    ) -> Resolved | None:
        """Return what a word names: a class, a component file, or an inline ``!Class``."""
        if name.startswith("!"):
            return self._embedded(name, mark, key)
        path = self._existing(name)
        if path and (key == "yaml_path" or name.endswith(_FILE_ENDINGS)):
            return self._file(path, mark, key)
        if name.endswith(_FILE_ENDINGS):
            return self._missing_file(name, mark, key)
        return self.of_class(name, mark, key, options)

    # -- the forms a component may be written in

    def _tagged(self, node: Node) -> Resolved | None:
        """Read GNES's ``!Class {parameters: ..., gnes_config: ...}``."""
        if not node.is_mapping:
            return self.of_class(node.tag, node.mark, "", None)
        allowed = ("parameters", "parameter", "gnes_config", "components", "component", "py_path")
        self.check_keys(node, allowed, f"!{node.tag}")
        parameters = node.value.get("parameters") or node.value.get("parameter")
        parameters = _flattened(parameters) if parameters else None
        parts = _components(node) or (_components(parameters) if parameters else None)
        reader = self.with_plugins(node.value.get("py_path"))
        if parts is not None:
            return reader.pipeline(parts, "components")
        config = node.value.get("gnes_config")
        return reader.of_class(node.tag, node.mark, "", _with_config(node, parameters, config))

    def _inline(self, node: Node, key: str) -> Resolved | None:
        """Read ``{uses: ..., with: {...}}`` or ``{yaml_path: ..., py_path: ...}``."""
        self.check_keys(node, ("uses", "with", "yaml_path", "py_path"), key)
        reader = self.with_plugins(node.value.get("py_path"))
        return reader.of_keys(node, key)

    def of_keys(self, node: Node, key: str) -> Resolved | None:
        """Read the component from the keys ``uses``/``with`` or ``yaml_path`` of a mapping."""
        uses, path = node.value.get("uses"), node.value.get("yaml_path")
        if uses and path:
            self.reading.add(
                node.keys["yaml_path"], "yaml_path", "stands beside `uses`", expected="one of both"
            )
        found, name = (uses, "uses") if uses else (path, "yaml_path")
        if found is None:
            self.reading.add(node.mark, key, "names no component", expected="`uses` or `yaml_path`")
            return None
        options = node.value.get("with")
        if isinstance(found.value, str) and not found.tag:
            return self.named(found.value, found.mark, name, options=options)
        return self.read(found, name)

    def pipeline(self, node: Node, key: str) -> Resolved | None:
        """Read a list of components, one after another."""
        if not node.is_list or not node.value:
            self.reading.add(node.mark, key, "an empty pipeline", expected="a list of components")
            return None
        parts = [self.read(item, key) for item in node.value]
        if any(part is None for part in parts):
            return None
        found = [part for part in parts if part is not None]
        return found[0] if len(found) == 1 else Resolved.chain(found)

    def _embedded(self, text: str, mark: Mark, key: str) -> Resolved | None:
        """Read a component from YAML that stands in a string."""
        try:
            node = read_yaml(text, file=f"{mark.file}:{mark.line} {key}")
        except FlowError as error:
            self.reading.faults.extend(error.faults)
            return None
        return self._deeper().read(node, key)

    # -- files

    def _deeper(self, folder: Path | None = None) -> "SpecReader":
        return replace(self, depth=self.depth + 1, folder=folder or self.folder)

    def _existing(self, name: str) -> Path | None:
        if self.folder is None or not name or "\0" in name:
            return None
        try:
            path = self.folder / name
            return path if path.is_file() else None
        except OSError:
            return None

    def _file(self, path: Path, mark: Mark, key: str) -> Resolved | None:
        if self.depth >= MAX_FILE_DEPTH:
            self.reading.add(mark, key, "files name each other in a circle, or too deeply")
            return None
        try:
            with path.open(encoding="utf-8") as file:
                node = read_yaml(file.read(MAX_CHARACTERS + 1), file=str(path))
        except FlowError as error:
            self.reading.faults.extend(error.faults)
        except (OSError, UnicodeDecodeError) as error:
            self.reading.add(mark, key, f"{path} cannot be read: {error}")
        else:
            return self._deeper(path.parent).read(node, "")
        return None

    def _missing_file(self, name: str, mark: Mark, key: str) -> Resolved | None:
        """A file that is not there is a fault; where no file may be read, it stays a name."""
        if self.folder is None:
            return Resolved(ComponentSpec(name))
        beside = sorted(path.name for path in self.folder.glob("*.y*ml"))[:500]
        expected = f"a file beside {Path(mark.file).name}"
        self.reading.add(
            mark, key, f"no file {name!r}", expected=expected, near=nearest(name, beside)
        )
        return None

    def _plugin_paths(self, node: Node) -> Iterator[Path]:
        for item in node.value if node.is_list else [node]:
            if self.folder is None:
                expected = "components of the catalog only"
                self.reading.add(
                    item.mark, "py_path", "plug-in files are refused here", expected=expected
                )
            elif path := self._existing(str(item.value)):
                self.reading.digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
                yield path.resolve()
            else:
                beside = [path.name for path in sorted(self.folder.glob("*.py"))[:500]]
                near = nearest(item.value, beside)
                self.reading.add(item.mark, "py_path", f"no file {item.value!r}", near=near)

    def _plugin_components(self, mark: Mark) -> list[Component]:
        """Return the classes of the plug-in files; a later file wins over an earlier one."""
        found: list[Component] = []
        for path in reversed(self.plugins):
            try:
                found.extend(describe(path))
            except (OSError, ValueError) as error:
                self.reading.add(mark, "py_path", f"{path.name}: {error}")
        return found

    # -- classes and their options

    def of_class(self, name: str, mark: Mark, key: str, options: Node | None) -> Resolved | None:
        """Return the component of a class name, options checked; key "" means GNES's ``!Class``."""
        own = Catalog(tuple(self._plugin_components(mark)))
        component = own.find(name, self.kinds) or self.reading.catalog.find(name, self.kinds)
        given = self._plain_options(options)
        py_path = tuple(map(str, self.plugins))
        if component is None:
            if self._is_foreign(name):
                return Resolved(ComponentSpec(name, given, py_path=py_path))
            self._unknown(name, mark, key, own)
            return None
        if name != component.name or not key:
            given = translated(component, given)
        self._check_options(component, given, options.keys if options else {}, mark)
        known = own.find(name, self.kinds) is not None
        spec = ComponentSpec(component.name, given, py_path=py_path if known else ())
        marks = dict(options.keys) if options else {}
        dim = component.dimension(given)
        return Resolved(spec, component.inputs, component.outputs, dim, component.kind, marks)

    def _is_foreign(self, name: str) -> bool:
        """Whether a name is defined elsewhere: an entry point, or a dotted path of the operator."""
        if self.folder is None:
            return False
        if name in entry_points(group="gnes.components").names:
            return True
        return _DOTTED.fullmatch(name) is not None

    def _unknown(self, name: str, mark: Mark, key: str, own: Catalog) -> None:
        elsewhere = self.reading.catalog.kinds_of(name) + own.kinds_of(name)
        names = own.names(self.kinds) + self.reading.catalog.names(self.kinds)
        problem = f"{name!r} is unknown"
        if elsewhere:
            article = "an" if elsewhere[0][0] in "aei" else "a"
            problem = f"{name!r} is {article} {elsewhere[0]}, not {one_of(self.kinds)}"
        expected = f"a component of kind {one_of(self.kinds)}, or a file"
        self.reading.add(mark, key, problem, expected=expected, near=nearest(name, names))

    def _plain_options(self, node: Node | None) -> dict[str, Any]:
        if node is None or node.value is None:
            return {}
        if not node.is_mapping:
            self.reading.add(node.mark, "with", "is no mapping", expected="option: value")
            return {}
        return {name: self._value(value, name) for name, value in node.value.items()}

    def _value(self, node: Node, key: str) -> Any:
        """Return an option's value; a tagged one is a component of its own, as data."""
        if node.tag:
            inner = node.value.get("parameters", Node({}, node.mark)) if node.is_mapping else None
            return {"uses": node.tag, "options": self._plain_options(inner)}
        if node.is_mapping:
            return {name: self._value(value, name) for name, value in node.value.items()}
        if node.is_list:
            return [self._value(value, key) for value in node.value]
        return self._expanded(node.value, node.mark, key) if node.value else node.value

    def _expanded(self, value: Any, mark: Mark, key: str) -> Any:
        """Replace ``$VAR`` by its value, read as a number, a boolean or a list where it is one."""
        environ = self.reading.environ
        if not isinstance(value, str) or environ is None or not _VARIABLE.search(value):
            return value
        names = [first or second for first, second in _VARIABLE.findall(value)]
        for name in names:
            if name not in environ and not is_ignored(key):
                self.reading.add(mark, key, f"environment variable {name} is not set")
        return coerced(_VARIABLE.sub(lambda m: environ.get(m[1] or m[2], m[0]), value))

    def _check_options(
        self, component: Component, given: Mapping[str, Any], places: Mapping[str, Mark], mark: Mark
    ) -> None:
        """Note every option that is unknown, missing or of a wrong type."""
        for option, value in given.items():
            self._check_option(component, option, value, places.get(option, mark))
        for wanted in component.options:
            if wanted.required and wanted.name not in given:
                problem = f"{component.name} needs the option {wanted.name!r}"
                self.reading.add(mark, wanted.name, problem, expected=wanted.type)

    def _check_option(self, component: Component, name: str, value: Any, mark: Mark) -> None:
        option = component.option(name)
        known = [option.name for option in component.options]
        if option is None:
            if not component.open_options:
                problem = f"{component.name} has no option {name!r}"
                expected = one_of(known) or "no options"
                renamed = our_name(component, name)
                near = renamed if renamed in known else nearest(name, known)
                self.reading.add(mark, name, problem, expected=expected, near=near or "")
        elif not option.takes(value) and not _is_unexpanded(value):
            choices = option.allowed()
            expected = one_of(map(repr, choices)) if choices else option.type
            near = nearest(value, map(str, choices))
            self.reading.add(mark, name, f"{value!r} does not fit", expected=expected, near=near)

    def check_keys(self, node: Node, allowed: tuple[str, ...], key: str) -> None:
        """Note every key that is not among the allowed ones."""
        for name, mark in node.keys.items():
            if name not in allowed:
                where = f" of {key}" if key else ""
                problem = f"unknown key{where}"
                near = nearest(name, allowed)
                self.reading.add(mark, name, problem, expected=one_of(allowed), near=near)


def _is_unexpanded(value: Any) -> bool:
    """Whether a value still names a variable; its absence is a fault of its own."""
    return isinstance(value, str) and _VARIABLE.search(value) is not None


def coerced(text: str) -> Any:
    """Return what GNES makes of an expanded variable: number, boolean, list, None or the text."""
    listed = _LIST.fullmatch(text.strip())
    if listed:
        return [coerced(part.strip()) for part in listed.group(1).split(",") if part.strip()]
    return typed(text.strip())


def _components(node: Node) -> Node | None:
    found: Node | None = node.value.get("components") or node.value.get("component")
    return found


def _flattened(parameters: Node) -> Node:
    """Lift GNES's ``kwargs`` sub-mapping among the other parameters."""
    if not parameters.is_mapping:
        return parameters
    inner = parameters.value.get("kwargs")
    if inner is None or not inner.is_mapping:
        return parameters
    values = {key: node for key, node in parameters.value.items() if key != "kwargs"}
    return replace(parameters, value=values | inner.value, keys={**parameters.keys, **inner.keys})


def _with_config(node: Node, parameters: Node | None, config: Node | None) -> Node | None:
    """Put ``gnes_config: {batch_size}`` among the parameters, where components take it."""
    size = config.value.get("batch_size") if config is not None and config.is_mapping else None
    if size is None or size.value is None:
        return parameters
    base = parameters if parameters and parameters.is_mapping else Node({}, node.mark)
    keys = {**base.keys, "batch_size": size.mark}
    return replace(base, value={"batch_size": size, **base.value}, keys=keys)
