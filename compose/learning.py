"""Which components of a plan learn, as the catalog knows them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from compose.catalog import Catalog, kinds_for
from compose.component import Component
from compose.plan import ComponentSpec, StagePlan


def learners(stages: Iterable[StagePlan], catalog: Catalog) -> tuple[tuple[str, str], ...]:
    """Return stage and branch of every encoder that must, or of plug-ins may, be trained."""
    return tuple(
        (stage.name, branch)
        for stage in stages
        if stage.kind == "encode"
        for branch, spec in stage.branches.items()
        if may_learn(spec, catalog)
    )


def may_learn(spec: ComponentSpec, catalog: Catalog) -> bool:
    """Tell whether a component, or one inside of it, learns; of a plug-in nobody knows."""
    component = _component(spec.uses, catalog) if spec.uses else None
    if spec.py_path or (spec.uses and component is None) or (component and component.learns):
        return True
    inner = (_component(name, catalog) for name in _nested(spec.options))
    return any(found.learns for found in inner if found) or any(
        may_learn(part, catalog) for part in spec.pipeline
    )


def _component(name: str, catalog: Catalog) -> Component | None:
    return catalog.find(name, kinds_for("Encoder"))


def _nested(value: Any) -> Iterator[str]:
    """Yield the names of components that stand in the options of another one."""
    if isinstance(value, Mapping):
        if isinstance(value.get("uses"), str):
            yield value["uses"]
        for inner in value.values():
            yield from _nested(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            if isinstance(inner, str):
                yield inner
            yield from _nested(inner)
