"""From a YAML node to the component it names: classes, component files, pipelines, options.

Three ways lead to a component: ``uses`` (an alias of the catalog, a class of a plug-in file, a
dotted path), GNES's ``yaml_path`` (a file, a class name or an inline ``!Class``), and a tagged
mapping. All end in a ``ComponentSpec`` whose options have been checked. Faults are collected.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from compose.catalog import Catalog
from compose.component import Component, Widths, unmet
from compose.errors import FlowError, nearest, one_of
from compose.gnes import translated
from compose.options import check_options, plain_options
from compose.plan import ComponentSpec
from compose.plugin import describe
from compose.reading import Reading
from compose.source import MAX_CHARACTERS, Mark, Node, read_yaml

#: Files that name files that name files: deeper than this is a mistake, or meant as one.
MAX_FILE_DEPTH = 8
_FILE_ENDINGS = (".yml", ".yaml")
_DOTTED = re.compile(r"[A-Za-z_]\w*([.:][A-Za-z_]\w*)+")
#: Containers that are nothing but their components one after another, and those that join them.
_PIPELINES = ("EncoderPipeline", "PreprocessorPipeline", "PipelineRouter", "ScorePipeline")
_CONCATENATING = ("ConcatEncoder",)
_AVERAGING = ("AverageEncoder",)


@dataclass(frozen=True, slots=True)
class Resolved:
    """A spec and what the catalog says about its ends: what goes in, what comes out."""

    spec: ComponentSpec
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dim: int | None = None
    kind: str = ""
    metric: str = ""
    marks: Mapping[str, Mark] = field(default_factory=dict)
    parts: tuple["Resolved", ...] = ()
    keeps_dim: bool = False
    takes_dim: Widths = field(default_factory=dict)

    @classmethod
    def chain(cls, parts: list["Resolved"]) -> "Resolved":
        """Join components that run one after another."""
        spec = ComponentSpec("", pipeline=tuple(part.spec for part in parts))
        last = parts[-1]
        dim: int | None = None
        takes_dim: dict[str, int] = {}
        keeps_dim = True
        for part in parts:
            takes_dim |= part.takes_dim if keeps_dim else {}
            keeps_dim = keeps_dim and part.keeps_dim
            dim = dim if part.keeps_dim else part.dim
        ends = (last.outputs, dim, last.kind, last.metric, last.marks)
        return cls(spec, parts[0].inputs, *ends, tuple(parts), keeps_dim, takes_dim)


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

    def of_kind(self, kind: str) -> "SpecReader":
        """Return a reader of components of one kind, with the same plug-ins."""
        return replace(self, kinds=(kind,))

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
        self.reading.check_keys(node, allowed, f"!{node.tag}")
        parameters = node.value.get("parameters") or node.value.get("parameter")
        parameters = _flattened(parameters) if parameters else None
        parts = _components(node) or (_components(parameters) if parameters else None)
        reader = self.with_plugins(node.value.get("py_path"))
        if parts is not None:
            return reader.made_of(node, parts)
        config = node.value.get("gnes_config")
        return reader.of_class(node.tag, node.mark, "", _with_config(node, parameters, config))

    def _inline(self, node: Node, key: str) -> Resolved | None:
        """Read ``{uses: ..., with: {...}}`` or ``{yaml_path: ..., py_path: ...}``."""
        self.reading.check_keys(node, ("uses", "with", "yaml_path", "py_path"), key)
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
        for place in range(1, len(found)):
            before, part = Resolved.chain(found[:place]).dim, found[place]
            self.check_width(part, before, node.value[place].mark, key)
        return found[0] if len(found) == 1 else Resolved.chain(found)

    def check_width(self, part: Resolved, dim: int | None, mark: Mark, key: str) -> None:
        """Note when an encoder cannot take vectors as long as those of the one before it."""
        if expected := unmet(part.takes_dim, dim):
            problem = f"{part.spec.uses} is given vectors of {dim} dimensions"
            self.reading.add(mark, key, problem, expected=expected)

    def _embedded(self, text: str, mark: Mark, key: str) -> Resolved | None:
        """Read a component from YAML that stands in a string."""
        try:
            node = read_yaml(text, file=f"{mark.file}:{mark.line} {key}")
        except FlowError as error:
            self.reading.extend(error.faults)
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
            self.reading.extend(error.faults)
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
        known = self.reading.plugins
        for path in self.plugins:
            if path not in known:
                try:
                    known[path] = describe(path, self.reading.catalog.by_class())
                except (OSError, ValueError) as error:
                    known[path] = ()
                    self.reading.add(mark, "py_path", f"{path.name}: {error}")
        return [component for path in reversed(self.plugins) for component in known[path]]

    # -- classes and their options

    def of_class(self, name: str, mark: Mark, key: str, options: Node | None) -> Resolved | None:
        """Return the component of a class name, options checked; key "" means GNES's ``!Class``."""
        own = Catalog(tuple(self._plugin_components(mark)))
        component = own.find(name, self.kinds)
        py_path = tuple(map(str, self.plugins)) if component else ()
        component = component or self.reading.catalog.find(name, self.kinds)
        if component is None:
            return self._foreign(name, mark, key, options, own=own)
        if _holds_components(component, options):
            return self._container(component, options, mark)
        given = plain_options(options, self.reading)
        if name != component.name or not key:
            given = translated(component, given)
        given |= self._inner(component, options)
        places = dict(options.keys) if options else {}
        check_options(component, given, places=places, mark=mark, reading=self.reading)
        spec = ComponentSpec(component.name, given, py_path=py_path)
        return Resolved(
            spec,
            component.inputs,
            component.outputs,
            component.dimension(given),
            component.kind,
            component.metric,
            places,
            keeps_dim=component.keeps_dim,
            takes_dim=component.taken(given),
        )

    def _inner(self, component: Component, options: Node | None) -> dict[str, Any]:
        """Return the options that are components themselves, as a flow file would write them."""
        given = options.value if options is not None and options.is_mapping else {}
        found: dict[str, Any] = {}
        for option in component.options:
            node = given.get(option.name)
            if not option.component or node is None or node.value is None:
                continue
            reader = self.of_kind(option.component)
            if node.is_list and "list" in option.types():
                parts = [reader.read(item, option.name) for item in node.value]
                found[option.name] = [part.spec.written() for part in parts if part]
            elif part := reader.read(node, option.name):
                found[option.name] = part.spec.written()
        return found

    def made_of(self, node: Node, parts: Node) -> Resolved | None:
        """Read a tagged container; one that the catalog does not know is a pipeline."""
        component = self.reading.catalog.find(node.tag, self.kinds)
        if component is None or component.option("components") is None:
            return self.pipeline(parts, "components")
        parameters = node.value.get("parameters")
        given = parameters.value if parameters is not None and parameters.is_mapping else {}
        options = replace(node, value={**given, "components": parts}, tag="")
        return self._container(component, options, node.mark)

    def _container(self, component: Component, options: Node | None, mark: Mark) -> Resolved | None:
        """Read a component made of others, such as the concatenation of two encoders."""
        found = self.pipeline(options.value["components"], "components") if options else None
        if found is None or options is None:
            return None
        if component.name in _PIPELINES:
            return found
        rest = {name: node for name, node in options.value.items() if name != "components"}
        given = plain_options(replace(options, value=rest), self.reading)
        everything = {**given, "components": []}
        check_options(component, everything, places=options.keys, mark=mark, reading=self.reading)
        parts = found.parts or (found,)
        spec = ComponentSpec(component.name, given, tuple(part.spec for part in parts))
        dims = [part.dim or 0 for part in parts]
        if component.name in _AVERAGING and len(set(filter(None, dims))) > 1:
            problem = f"averages vectors of {' and '.join(map(str, dims))} dimensions"
            self.reading.add(mark, "components", problem, expected="one dimension")
        dim = sum(dims) if component.name in _CONCATENATING and all(dims) else dims[0]
        return Resolved(spec, parts[0].inputs, component.outputs, dim or None, component.kind)

    def _foreign(
        self, name: str, mark: Mark, key: str, options: Node | None, *, own: Catalog
    ) -> Resolved | None:
        """Return what is defined elsewhere, unchecked; a name of nothing at all is a fault."""
        given = plain_options(options, self.reading)
        if self._is_foreign(name):
            return Resolved(ComponentSpec(name, given, py_path=tuple(map(str, self.plugins))))
        self._unknown(name, mark, key, own)
        return None

    def _is_foreign(self, name: str) -> bool:
        """Whether a name is defined elsewhere: an entry point, or a dotted path of the operator."""
        if self.folder is None:
            return False
        return name in _entry_points() or _DOTTED.fullmatch(name) is not None

    def _unknown(self, name: str, mark: Mark, key: str, own: Catalog) -> None:
        elsewhere = self.reading.catalog.kinds_of(name) + own.kinds_of(name)
        names = own.names(self.kinds) + self.reading.catalog.names(self.kinds)
        problem = f"{name!r} is unknown"
        if elsewhere:
            article = "an" if elsewhere[0][0] in "aei" else "a"
            problem = f"{name!r} is {article} {elsewhere[0]}, not {one_of(self.kinds)}"
        expected = f"a component of kind {one_of(self.kinds)}, or a file"
        self.reading.add(mark, key, problem, expected=expected, near=nearest(name, names))


@cache
def _entry_points() -> frozenset[str]:
    """Return the components that installed packages offer; looking for them reads every one."""
    return frozenset(entry_points(group="gnes.components").names)


def _holds_components(component: Component, options: Node | None) -> bool:
    is_container = component.option("components") is not None
    return is_container and options is not None and "components" in options.value


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
