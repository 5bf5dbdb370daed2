"""A flow as YAML of its own: component files written inline, so that it stands alone.

The flow it is read back to is equal. Plug-in files cannot be written inline and stay paths.
"""

from collections.abc import Mapping
from typing import Any

from compose.flow import DEFAULT_PORT, Flow, Step
from compose.plan import ANY_MODALITY, ComponentSpec
from compose.render.yaml_text import dump


def flow_yaml(flow: Flow) -> str:
    """Return the YAML of a flow."""
    head: dict[str, Any] = {"name": flow.name}
    if flow.port != DEFAULT_PORT:
        head["port"] = flow.port
    head["services"] = list(_services(flow))
    further = {
        "score": flow.score, "workers": flow.workers,
        "volumes": flow.volumes, "networks": flow.networks,
    }  # fmt: skip
    return dump(head | {key: value for key, value in further.items() if value})


def _services(flow: Flow) -> list[Any]:
    """Return the services layer by layer; a layer of several is a list in the list."""
    services: list[Any] = []
    previous: tuple[str, ...] = ()
    for layer in flow.layers:
        found = [_service(step, previous) for step in layer]
        services.append(found[0] if len(found) == 1 else found)
        previous = tuple(step.id for step in layer)
    return services


def _service(step: Step, previous: tuple[str, ...]) -> dict[str, Any]:
    made: dict[str, Any] = {"name": step.service, "id": step.id, **_components(step)}
    if step.needs != previous:
        made["needs"] = list(step.needs)
    defaults = {"replicas": 1, "income": "pull"}
    for key in ("replicas", "shards", "income", "queue", "image", "vector"):
        value = getattr(step, key)
        if value is not None and value != defaults.get(key):
            made[key] = value
    return made


def _components(step: Step) -> dict[str, Any]:
    branches = dict(step.branches)
    specs = list(branches.values())
    if not specs:
        return {}
    if ANY_MODALITY in branches or all(spec == specs[0] for spec in specs):
        return _component(specs[0])
    return {modality: _component(spec) for modality, spec in branches.items()}


def _component(spec: ComponentSpec) -> dict[str, Any]:
    written = _plain(spec.written())
    return written if isinstance(written, dict) else {"uses": written}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
