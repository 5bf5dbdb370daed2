"""The components a flow may name: kinds, aliases, options, modalities and dimensions, as data.

The catalog is written by the components themselves (``compose/catalog.json``; a test keeps it in
step), so a flow is checked where no model can be loaded and no optional library is installed.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

#: The kinds of a flow's services, by GNES's name for the service.
KIND_OF_SERVICE: Mapping[str, str] = {
    "Preprocessor": "preprocessor",
    "Encoder": "encoder",
    "Indexer": "index",
    "Router": "router",
    "Frontend": "frontend",
}
#: What an Indexer or a Router may also be, beside the kind of its service.
FURTHER_KINDS: Mapping[str, tuple[str, ...]] = {"router": ("reducer", "score")}

#: GNES's class name to the options it knows under another name; None: it needs no setting here.
GNES_OPTIONS: Mapping[str, str | None] = {
    "num_dim": "dim",
    "index_key": "factory",
    "dimension": "dim",
    "frame_num": "max_frames",
    **dict.fromkeys(
        (
            "data_path", "model_dir", "on_gpu", "work_dir", "is_trained", "warn_unnamed", "name",
            "keep_na_doc", "drop_raw_bytes", "drop_raw_data", "drop_chunk_blob", "read_only",
            "start_doc_id", "random_doc_id", "doc_type", "backend", "use_cuda", "num_bytes",
        )
    ),
}  # fmt: skip

_LITERAL = re.compile(r"Literal\[(.*)\]$|^one of (.*?)(?: or null)?$")
_SCALARS: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("int", "integer"), (int,)),
    **dict.fromkeys(("float", "number"), (int, float)),
    **dict.fromkeys(("str", "string", "text"), (str,)),
    **dict.fromkeys(("bool", "boolean"), (bool,)),
    **dict.fromkeys(("none", "null"), (type(None),)),
    **dict.fromkeys(("list", "tuple", "sequence", "array"), (list,)),
    **dict.fromkeys(("dict", "mapping", "object"), (dict,)),
}


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a component, as the catalog describes it.

    ``shapes`` is False for what changes speed or place but never a chunk or a vector.
    """

    name: str
    type: str = "any"
    default: Any = None
    required: bool = False
    doc: str = ""
    choices: tuple[Any, ...] = ()
    shapes: bool = True

    def allowed(self) -> tuple[Any, ...]:
        """Return the values this option is limited to; () when it is not."""
        literal = _LITERAL.search(self.type)
        return self.choices or (_literals(literal.group(1) or literal.group(2)) if literal else ())

    def takes(self, value: Any) -> bool:
        """Whether the value has one of the option's types."""
        if self.allowed():
            return value in self.allowed() or (value is None and not self.required)
        if value is None and self.default is None and not self.required:
            return True
        kinds = [_SCALARS.get(name) for name in _alternatives(self.type)]
        return any(kind is None or _is_a(value, kind) for kind in kinds)


@dataclass(frozen=True, slots=True)
class Component:
    """One component of the catalog."""

    kind: str
    name: str
    aliases: tuple[str, ...] = ()
    module: str = ""
    summary: str = ""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    dim: int | Mapping[str, str] | None = None
    options: tuple[Option, ...] = ()
    open_options: bool = False

    def option(self, name: str) -> Option | None:
        """Return the option of that name; None when there is none."""
        return next((option for option in self.options if option.name == name), None)

    def dimension(self, options: Mapping[str, Any]) -> int | None:
        """Return the length of its vectors under these options; None when only a run tells."""
        if isinstance(self.dim, Mapping):
            name = self.dim["option"]
            option = self.option(name)
            value = options.get(name, option.default if option else None)
            return value if isinstance(value, int) and value > 0 else None
        return self.dim

    def with_defaults(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that shape results, defaults filled in: what a fingerprint covers."""
        filled = {option.name: option.default for option in self.options} | dict(options)
        aside = {option.name for option in self.options if not option.shapes}
        return {name: value for name, value in sorted(filled.items()) if name not in aside}


@dataclass(frozen=True, slots=True)
class Catalog:
    """All components, found by name or alias within their kinds."""

    components: tuple[Component, ...] = ()
    _names: dict[tuple[str, str], Component] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for component in self.components:
            for name in (component.name, *component.aliases):
                self._names.setdefault((component.kind, name), component)

    def find(self, name: str, kinds: Iterable[str]) -> Component | None:
        """Return the component of one of these kinds with this name or alias."""
        for kind in kinds:
            if component := self._names.get((kind, name)):
                return component
        return None

    def names(self, kinds: Iterable[str]) -> list[str]:
        """Return every name and alias of these kinds."""
        wanted = set(kinds)
        return [name for kind, name in self._names if kind in wanted]

    def kinds_of(self, name: str) -> list[str]:
        """Return the kinds in which this name exists."""
        return [kind for kind, known in self._names if known == name]

    @classmethod
    def read(cls, path: Path) -> "Catalog":
        """Read a catalog from its JSON file."""
        entries = json.loads(path.read_text(encoding="utf-8"))["components"]
        return cls(tuple(_component(entry) for entry in entries))


@cache
def default_catalog() -> Catalog:
    """Return the catalog of the components that come with this house."""
    return Catalog.read(Path(__file__).with_name("catalog.json"))


def kinds_for(service: str) -> tuple[str, ...]:
    """Return the catalog kinds that a service of this name may host."""
    kind = KIND_OF_SERVICE[service]
    return (kind, *FURTHER_KINDS.get(kind, ()))


def _component(entry: Mapping[str, Any]) -> Component:
    options = tuple(
        Option(**{**option, "choices": tuple(option.get("choices") or ())})
        for option in entry.get("options", ())
    )
    lists = {key: tuple(entry.get(key) or ()) for key in ("aliases", "inputs", "outputs")}
    return Component(**{**entry, **lists, "options": options})


def _alternatives(text: str) -> list[str]:
    """Return the type words of "int | list[str | None]" or "integer or list of text"."""
    words = re.sub(r"\[[^\]]*\]+", "", text.replace("true or false", "bool"))
    parts = re.split(r"\||\bor\b", words.lower())
    return [part.split(" of ")[0].strip().rsplit(".", 1)[-1] for part in parts]


def _literals(text: str) -> tuple[Any, ...]:
    words = [word.strip() for word in text.split(",")]
    return tuple(
        int(word) if word.lstrip("-").isdigit() else word.strip("'\"") for word in words if word
    )


def _is_a(value: Any, kinds: tuple[type, ...]) -> bool:
    """``isinstance``, except that True is no number."""
    if isinstance(value, bool) and bool not in kinds:
        return False
    return isinstance(value, kinds)
