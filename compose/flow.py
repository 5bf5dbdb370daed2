"""A flow: the steps a person wrote, what each needs, and the layers they stand in.

Frozen data. YAML becomes a flow in ``compose.load``; what a flow means at run time is its plan.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from compose.plan import ComponentSpec
from compose.source import Mark

#: Where requests come in and answers go out; GNES's first and last layer.
FRONTEND = "Frontend"
#: What a flow that does not say is called, as in GNES, and where its API listens.
DEFAULT_NAME, DEFAULT_PORT = "GNES app", 8000

Service = Literal["Preprocessor", "Encoder", "Indexer", "Router", "Frontend"]


@dataclass(frozen=True, slots=True)
class Step:
    """One service of a flow: which component, how often, after which steps.

    ``branches`` holds the component of each modality ("*" for all). ``replicas`` is what the file
    says; an Indexer's real shards and replicas are ``index_shards`` and ``index_replicas``.
    ``metric`` is the only way an Encoder's codes can be compared, "" for plain vectors.
    ``written`` keeps the file's own words, for renderers that show them.
    """

    id: str
    service: Service
    branches: Mapping[str, ComponentSpec] = field(default_factory=dict)
    needs: tuple[str, ...] = ()
    replicas: int = 1
    shards: int | None = None
    income: Literal["pull", "sub"] = "pull"
    queue: str | None = None
    image: str | None = None
    vector: str | None = None
    kind: str = ""
    dim: int | None = None
    metric: str = ""
    written: Mapping[str, Any] = field(default_factory=dict, compare=False)
    mark: Mark = field(default=Mark("flow", 0, 0), compare=False)

    @property
    def copies(self) -> int:
        """How many parts a router must serve here: an Indexer's shards, else replicas."""
        return self.shards if self.shards is not None else self.replicas

    @property
    def index_shards(self) -> int:
        """Shards of an Indexer; GNES's ``replicas`` deals documents out, so they are shards."""
        return self.copies

    @property
    def index_replicas(self) -> int:
        """Worker processes a shard; only ``shards`` beside ``replicas`` makes more than one."""
        return self.replicas if self.shards is not None else 1

    @property
    def component(self) -> ComponentSpec | None:
        """The component of a step without branches (or its first branch); None without any."""
        return next(iter(self.branches.values()), None)

    def fault_key(self) -> str:
        """How an error names this step."""
        return f"{self.service} {self.id!r}"


@dataclass(frozen=True, slots=True)
class Flow:
    """A named workflow; steps stand in an order in which each follows what it needs.

    ``layers`` are the ids of steps side by side; the frontend stands before and after them all.
    """

    name: str = DEFAULT_NAME
    port: int = DEFAULT_PORT
    steps: tuple[Step, ...] = ()
    score: Mapping[str, Any] = field(default_factory=dict)
    workers: Mapping[str, int] = field(default_factory=dict)
    volumes: Mapping[str, Any] = field(default_factory=dict)
    networks: Mapping[str, Any] = field(default_factory=dict)
    file: str = "flow"
    plugin_digests: tuple[str, ...] = ()

    def step(self, name: str) -> Step | None:
        """Return the step of that id; None when there is none."""
        return next((step for step in self.steps if step.id == name), None)

    def of_service(self, service: Service) -> tuple[Step, ...]:
        """Return the steps of one service, in order."""
        return tuple(step for step in self.steps if step.service == service)

    @property
    def layers(self) -> tuple[tuple[Step, ...], ...]:
        """The steps by layer: each stands one deeper than the deepest it needs."""
        depths = depths_of(self.steps)
        deepest = max(depths.values(), default=-1)
        return tuple(
            tuple(step for step in self.steps if depths[step.id] == depth)
            for depth in range(deepest + 1)
        )

    def before(self, step: Step) -> tuple[Step, ...]:
        """Return all steps whose work this one builds on, in order."""
        wanted = set(step.needs)
        for other in reversed(self.steps):
            if other.id in wanted:
                wanted |= set(other.needs)
        return tuple(other for other in self.steps if other.id in wanted)


def depths_of(steps: Iterable[Step]) -> dict[str, int]:
    """Return the layer number of each step; steps stand after what they need."""
    depths: dict[str, int] = {}
    for step in steps:
        depths[step.id] = 1 + max((depths.get(name, -1) for name in step.needs), default=-1)
    return depths
