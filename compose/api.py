"""The Flow of Python: built step by step, compared, drawn and rendered.

    flow = (Flow("text")
            .add("Preprocessor", uses="SentenceSplitter")
            .add("Encoder", uses="MiniLM")
            .add("Indexer", uses="hnsw", shards=2))

Every method gives a new flow; the one it is called on stays as it is. A step follows the one added
last unless ``needs`` (GNES's ``recv_from``) says otherwise. Starting the services is no matter of
this package: whoever can start them does so with a flow that has been built.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from html import escape
from pathlib import Path
from typing import Any, Self

from compose.catalog import Catalog
from compose.errors import (
    Fault,
    FlowBuildLevelMismatch,
    FlowError,
    FlowIncompleteError,
    FlowMissingNode,
    FlowTopologyError,
    nearest,
    one_of,
)
from compose.flow import DEFAULT_NAME, DEFAULT_PORT, Step
from compose.flow import Flow as FlowData
from compose.load import load_flow
from compose.plan import Plan
from compose.planning import plan_of
from compose.render.flow_yaml import flow_yaml
from compose.render.mermaid import mermaid
from compose.render.svg import in_cell, svg
from compose.render.targets import render
from compose.render.yaml_text import dump
from compose.services import (
    Service,
    by_step,
    checked_keys,
    free_name,
    in_order,
    refused,
    sent_to,
)
from compose.topology import FRONTEND_NAME, Link, links

Names = str | Iterable[str]


class BuildLevel(IntEnum):
    """How far a flow has come: only described, checked whole, or running."""

    EMPTY = 0
    GRAPH = 1
    RUNTIME = 2


@dataclass(frozen=True, eq=False)
class Flow:
    """A workflow under construction; frozen, so every change is a new flow.

    ``last`` is the step that the next one follows by default; ``settings`` are the flow's other
    keys (score, workers, volumes, networks).
    """

    name: str = DEFAULT_NAME
    port: int = DEFAULT_PORT
    with_frontend: bool = True
    services: tuple[Service, ...] = ()
    last: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    build_level: BuildLevel = BuildLevel.EMPTY
    catalog: Catalog | None = None

    #: The name by which a step can say that it follows nobody.
    Frontend = FRONTEND_NAME

    # -- editing

    def add(
        self,
        service: str,
        name: str | None = None,
        *,
        needs: Names | None = None,
        send_to: Names = (),
        **keys: Any,
    ) -> Self:
        """Return the flow with one more step.

        Args:
            service: Preprocessor, Encoder, Indexer or Router.
            name: what the step is called; ``Encoder0`` and so on when not given.
            needs: the steps it follows (``recv_from`` means the same); the last one by default,
                and ``Flow.Frontend`` for none.
            send_to: steps that shall follow it as well.
            **keys: as in YAML: uses, yaml_path, replicas, shards, ...; ``with_`` for ``with``.

        Raises:
            FlowTopologyError: the name is taken, the step follows itself, or it is a frontend.
            FlowMissingNode: it follows, or is followed by, a step that is not there.
            FlowError: the service or a key is unknown.
        """
        keys = checked_keys(service, keys)
        made = name or free_name(self.services, service)
        if not made.isidentifier():
            raise refused(made, "is no name", expected="letters, digits and _")
        if self._find(made) is not None:
            raise refused(made, "is already a step", kind=FlowTopologyError)
        received = keys.pop("recv_from", None) if needs is None else needs
        follows = self._names(made, received) if received is not None else self._default_needs()
        services = (*self.services, Service(made, service, follows, keys))
        return self._edited(sent_to(services, made, self._names(made, send_to)), last=made)

    def set(
        self,
        name: str,
        *,
        needs: Names | None = None,
        send_to: Names = (),
        clear_old_attr: bool = False,
        as_last_service: bool = False,
        **keys: Any,
    ) -> Self:
        """Return the flow with one step changed; what is not named stays.

        With ``clear_old_attr`` the step forgets what it followed and what followed it.

        Raises:
            FlowMissingNode: there is no such step, or one of ``needs`` and ``send_to`` is not.
            FlowTopologyError: steps would wait for each other.
            FlowError: a key is unknown.
        """
        old = self._require(name)
        keys = checked_keys(old.service, keys)
        received = keys.pop("recv_from", None) if needs is None else needs
        added = self._names(name, received) if received is not None else ()
        kept = () if clear_old_attr else old.needs
        follows = tuple(dict.fromkeys((*kept, *added)))
        changed = replace(old, needs=follows, keys={**old.keys, **keys})
        others = [item.not_following(name) if clear_old_attr else item for item in self.services]
        services = tuple(changed if item.name == name else item for item in others)
        services = in_order(sent_to(services, name, self._names(name, send_to)))
        return self._edited(services, last=name if as_last_service else self.last)

    def remove(self, name: str) -> Self:
        """Return the flow without a step; those that followed it no longer do.

        Raises:
            FlowMissingNode: there is no such step.
        """
        self._require(name)
        left = tuple(item.not_following(name) for item in self.services if item.name != name)
        last = self.last if self.last != name else (left[-1].name if left else None)
        return self._edited(left, last=last)

    def set_last_service(self, name: str) -> Self:
        """Return the flow in which the next step follows this one by default.

        Raises:
            FlowMissingNode: there is no such step.
        """
        self._require(name)
        return self._edited(self.services, last=name)

    # -- building

    def build(self) -> Self:
        """Return the flow, checked whole: components, edges, and that it can run.

        Raises:
            FlowIncompleteError: it has no frontend, or no step.
            FlowTopologyError: an edge would have to publish and to gather at once.
            FlowError: with every fault of its components.
        """
        if not self.with_frontend:
            raise FlowIncompleteError(_fault(self.name, "has no frontend", "with_frontend=True"))
        if not self.services:
            raise FlowIncompleteError(_fault(self.name, "has no steps", "one at least"))
        self.links()
        plan_of(self.data())
        return replace(self, build_level=max(self.build_level, BuildLevel.GRAPH))

    def require(self, level: BuildLevel) -> None:
        """Check that the flow has come this far.

        Raises:
            FlowBuildLevelMismatch: it has not.
        """
        if self.build_level < level:
            problem = f"is built to {self.build_level.name}"
            raise FlowBuildLevelMismatch(_fault(self.name, problem, level.name))

    def links(self) -> tuple[Link, ...]:
        """Return the edges of the flow, the frontend's included.

        Raises:
            FlowTopologyError: an edge would have to publish and to gather at once.
        """
        steps = tuple(
            Step(item.name, item.service, needs=item.needs)  # type: ignore[arg-type]  # checked when added
            for item in self.services
        )
        return links(FlowData(steps=steps))

    def data(self, *, expand: bool = True) -> FlowData:
        """Return the checked flow that the YAML of this one means.

        Raises:
            FlowError: with every fault of its components.
        """
        text = self._written()
        try:
            return load_flow(text, catalog=self.catalog, expand=expand)
        except FlowError as error:
            raise by_step(self.name, self.services, text, error) from None

    def plan(self) -> Plan:
        """Return what the flow means at run time."""
        return plan_of(self.data(), catalog=self.catalog)

    def __eq__(self, other: object) -> bool:
        """Two flows are equal when they have the same edges."""
        if not isinstance(other, Flow):
            return NotImplemented
        return set(self.links()) == set(other.links())

    def __hash__(self) -> int:
        return hash(frozenset(self.links()))

    # -- showing

    def to(self, target: str) -> str:
        """Return the flow as one of ``compose.render.targets.TARGETS``."""
        return render(self.data(expand=False), target)

    def to_yaml(self) -> str:
        """Return the flow file that means this flow."""
        return self.to("yaml")

    def to_mermaid(self, *, left_right: bool = True) -> str:
        """Return the drawing as mermaid text."""
        return mermaid(self.data(expand=False), left_right=left_right)

    def to_svg(self) -> str:
        """Return the drawing as SVG."""
        return svg(self.data(expand=False))

    def to_procfile(self) -> str:
        """Return the Procfile of the flow."""
        return self.to("procfile")

    def to_shell(self) -> str:
        """Return the shell script that starts the flow."""
        return self.to("shell")

    def to_docker_compose(self) -> str:
        """Return the docker-compose file of the flow."""
        return self.to("docker-compose")

    def to_swarm(self) -> str:
        """Return the Docker Swarm stack of the flow."""
        return self.to("swarm")

    def to_kubernetes(self) -> str:
        """Return the Kubernetes manifests of the flow."""
        return self.to("kubernetes")

    def to_html(self) -> str:
        """Return the page that shows the flow and all its texts."""
        return self.to("html")

    def to_python_code(self) -> str:
        """Return Python that builds this flow again."""
        head = f"Flow({self.name!r}, port={self.port!r})"
        lines = [f"    .add({item.call()})" for item in self.services]
        return "\n".join(["from compose.api import Flow", "", f"flow = ({head}", *lines]) + ")\n"

    def _repr_html_(self) -> str:
        """Show the drawing in a notebook, as wide as its cell; of a faulty flow, the faults."""
        try:
            drawing = self.to_svg()
        except FlowError as error:
            return f"<pre>{escape(str(error))}</pre>"
        return in_cell(drawing)

    @classmethod
    def load(cls, source: str | Path) -> Self:
        """Return the flow of a YAML file or text.

        Raises:
            FlowError: with every fault of the file.
            OSError: it cannot be read.
        """
        # Component files are written inline first: the flow may be used far from its folder.
        data = load_flow(flow_yaml(load_flow(source, expand=False)), expand=False)
        services = tuple(
            Service(step.id, step.service, step.needs, _keys(step)) for step in data.steps
        )
        further = {
            "score": data.score, "workers": data.workers,
            "volumes": data.volumes, "networks": data.networks,
        }  # fmt: skip
        settings = {key: value for key, value in further.items() if value}
        last = services[-1].name if services else None
        return cls(data.name, data.port, services=services, last=last, settings=settings)

    # -- within

    def _edited(self, services: tuple[Service, ...], *, last: str | None) -> Self:
        """Return the flow with other steps; what was built of the old ones no longer counts."""
        return replace(self, services=services, last=last, build_level=BuildLevel.EMPTY)

    def _find(self, name: str) -> Service | None:
        return next((item for item in self.services if item.name == name), None)

    def _require(self, name: str) -> Service:
        found = self._find(name)
        if found is None:
            known = [item.name for item in self.services]
            near = nearest(name, known)
            raise FlowMissingNode(
                Fault(self.name, 0, 0, name, "is no step of this flow", one_of(known), near)
            )
        return found

    def _default_needs(self) -> tuple[str, ...]:
        return (self.last,) if self.last else ()

    def _names(self, name: str, given: Names) -> tuple[str, ...]:
        names = [given] if isinstance(given, str) else list(given)
        for other in names:
            if other == name:
                raise refused(name, "follows itself", kind=FlowTopologyError)
            if other != FRONTEND_NAME:
                self._require(other)
        return tuple(other for other in names if other != FRONTEND_NAME)

    def _written(self) -> str:
        services = [item.written() for item in self.services]
        return dump({"name": self.name, "port": self.port, "services": services, **self.settings})


def _fault(name: str, problem: str, expected: str = "") -> Fault:
    return Fault(name, 0, 0, "", problem, expected)


def _keys(step: Step) -> dict[str, Any]:
    """Return a loaded step's keys as they were written, without those that Flow itself keeps."""
    return {key: value for key, value in step.written.items() if key not in ("name", "id", "needs")}
