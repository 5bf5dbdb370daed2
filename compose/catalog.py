"""The components a flow may name: kinds, aliases, options, modalities and dimensions, as data.

The catalog is written by the components themselves (``compose/catalog.json``; a test keeps it in
step), so a flow is checked where no model can be loaded and no optional library is installed.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from compose.builtin import BUILTIN
from compose.component import Component, Option

#: The kinds of a flow's services, by GNES's name for the service.
KIND_OF_SERVICE: Mapping[str, str] = {
    "Preprocessor": "preprocessor",
    "Encoder": "encoder",
    "Indexer": "index",
    "Router": "router",
    "Frontend": "frontend",
}
#: What an Indexer or a Router may also be, beside the kind of its service.
FURTHER_KINDS: Mapping[str, tuple[str, ...]] = {"router": ("reducer", "reranker", "score")}


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

    def by_class(self) -> dict[str, Component]:
        """Return every component with a class of its own by the names of that class."""
        return {
            name: component
            for component in self.components
            if component.module.startswith("workers.")
            for name in (component.name, *component.aliases)
        }

    def names(self, kinds: Iterable[str]) -> list[str]:
        """Return every name and alias of these kinds."""
        wanted = set(kinds)
        return [name for kind, name in self._names if kind in wanted]

    def kinds_of(self, name: str) -> list[str]:
        """Return the kinds in which this name exists."""
        return [kind for kind, known in self._names if known == name]

    @classmethod
    def read(cls, path: Path) -> "Catalog":
        """Read a catalog from its JSON file; engines and routers are added."""
        entries = json.loads(path.read_text(encoding="utf-8"))["components"]
        return cls((*(_component(entry) for entry in entries), *BUILTIN))


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
