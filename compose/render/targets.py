"""Everything a flow can be rendered as, by the names that ``gnes compose --to`` takes."""

from collections.abc import Callable, Mapping
from pathlib import Path

from compose.errors import nearest, one_of
from compose.flow import Flow
from compose.load import load_flow
from compose.planning import plan_of
from compose.render.docker_compose import docker_compose
from compose.render.dockerfile import dockerfile
from compose.render.flow_yaml import flow_yaml
from compose.render.html import html
from compose.render.kubernetes import kubernetes
from compose.render.mermaid import mermaid
from compose.render.procfile import procfile
from compose.render.shell import shell
from compose.render.svg import svg
from compose.render.swarm import swarm

#: Each takes a flow and the name of its file, and returns text.
TARGETS: Mapping[str, Callable[[Flow, str], str]] = {
    "procfile": lambda flow, source: procfile(plan_of(flow), source=source),
    "shell": lambda flow, source: shell(plan_of(flow), source=source),
    "docker-compose": lambda flow, source: docker_compose(flow, plan_of(flow), source=source),
    "swarm": lambda flow, source: swarm(flow, plan_of(flow), source=source),
    "kubernetes": lambda flow, source: kubernetes(flow, plan_of(flow), source=source),
    "dockerfile": lambda _, source: dockerfile("slim", source=source),
    "dockerfile-full": lambda _, source: dockerfile("full", source=source),
    "mermaid": lambda flow, _: mermaid(flow),
    "svg": lambda flow, _: svg(flow),
    "html": lambda flow, source: html(flow, plan_of(flow), source=source),
    "yaml": lambda flow, _: flow_yaml(flow),
}


class UnknownTargetError(ValueError):
    """Nothing is rendered under that name."""

    def __init__(self, target: str) -> None:
        super().__init__(target)
        self.target = target

    def __str__(self) -> str:
        near = nearest(self.target, TARGETS)
        hint = f"; did you mean {near!r}?" if near else ""
        return f"a flow cannot be rendered as {self.target!r}; expected {one_of(TARGETS)}{hint}"


def render(flow: Flow, target: str, *, source: str = "flow.yml") -> str:
    """Return a flow as one of the ``TARGETS``.

    Raises:
        UnknownTargetError: there is no such target.
        FlowTopologyError: the flow cannot be run, so nothing can start it.
    """
    if target not in TARGETS:
        raise UnknownTargetError(target)
    return TARGETS[target](flow, source)


def render_file(path: Path, target: str) -> str:
    """Return a flow file as one of the ``TARGETS``.

    Variables stay as they are written: what they hold may be secret, and may differ where the
    rendered file is used.

    Raises:
        UnknownTargetError: there is no such target.
        FlowError: the file has faults.
        OSError: it cannot be read.
    """
    return render(load_flow(path, expand=False), target, source=path.as_posix())
