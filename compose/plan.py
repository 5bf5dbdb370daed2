"""What a flow means at run time: stages, indexes, queues and worker groups, as plain frozen data.

A plan is made once, from a checked flow, and read by both wings: the API reads which queues a
query visits, a worker reads which component it hosts, a supervisor reads which processes to start.
It holds nothing but strings, numbers and mappings, so it crosses any wire: ``to_dict`` and
``from_dict`` are inverse to each other.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

#: Queues beside those of stages and shards: every flow writes and tidies, one with an Indexer
#: reduces as well.
INDEX_QUEUE, REDUCE_QUEUE, BUILD_QUEUE = "index", "reduce", "build"
#: Queues of flows that take media: media are brought from the web, and made small to look at.
FETCH_QUEUE, PREVIEW_QUEUE = "fetch", "preview"
MEDIA = frozenset({"image", "video", "audio"})

#: The branch that takes every modality which has no branch of its own.
ANY_MODALITY = "*"


#: Reducers that shards know: each reduces its own documents so.
REDUCTIONS = frozenset({"sum", "avg", "max", "min", "multiply"})
#: Best documents by the shards' score that score functions and rerankers judge.
CANDIDATES = 100

Metric = Literal["ip", "cosine", "l2", "hamming", "bytes", "bits", "buckets"]


@dataclass(frozen=True, slots=True)
class ComponentSpec:
    """One component to create: its name in the catalog (or in a plug-in file) and its options.

    A spec with a ``pipeline`` is those components one after another; ``uses`` and ``options`` are
    then empty. ``py_path`` names the plug-in files that may define ``uses``.
    """

    uses: str
    options: Mapping[str, Any] = field(default_factory=dict)
    pipeline: tuple["ComponentSpec", ...] = ()
    py_path: tuple[str, ...] = ()

    def written(self) -> Any:
        """Return the spec as a flow file would say it: a name, a mapping, or a list."""
        parts = [part.written() for part in self.pipeline]
        if parts and not self.uses:
            return parts
        options = {**self.options, **({"components": parts} if parts else {})}
        if not options and not self.py_path:
            return self.uses
        made: dict[str, Any] = {"uses": self.uses}
        if options:
            made["with"] = options
        if self.py_path:
            made["py_path"] = list(self.py_path)
        return made

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "ComponentSpec":
        """Build the spec again from what ``dataclasses.asdict`` made of it."""
        return cls(
            uses=data["uses"],
            options=dict(data["options"]),
            pipeline=tuple(cls.from_dict(part) for part in data["pipeline"]),
            py_path=tuple(data["py_path"]),
        )


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One step between the request and the index: who does it, on which queue.

    ``vector`` names the embedding that an encode stage writes ("" is the default one), ``reads``
    the embedding it starts from; None means that it encodes the chunks themselves.
    """

    index: int
    kind: Literal["preprocess", "encode"]
    name: str
    queue: str
    replicas: int
    branches: Mapping[str, ComponentSpec]
    vector: str = ""
    reads: str | None = None

    def component(self, modality: str) -> ComponentSpec | None:
        """Return what handles this modality here; None when nothing does."""
        return self.branches.get(modality) or self.branches.get(ANY_MODALITY)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "StagePlan":
        """Build the stage again from what ``dataclasses.asdict`` made of it."""
        branches = {key: ComponentSpec.from_dict(spec) for key, spec in data["branches"].items()}
        return cls(**{**data, "branches": branches})


@dataclass(frozen=True, slots=True)
class IndexPlan:
    """One Indexer of the flow: engine, shards, replicas and the queues its shards are asked on.

    ``functions`` holds the score functions that judge what it finds, by their key in a flow's
    ``score``, and a reducer that shards do not know, as a flow file would write them; ``py_path``
    the plug-in files that may define the engine.
    """

    name: str
    kind: Literal["vector", "text"]
    engine: str
    options: Mapping[str, Any]
    metric: Metric
    dim: int | None
    vector: str
    shards: int
    replicas: int
    queue_prefix: str
    functions: Mapping[str, Any] = field(default_factory=dict)
    py_path: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "IndexPlan":
        """Build the index again from what ``dataclasses.asdict`` made of it."""
        return cls(**{**data, "py_path": tuple(data.get("py_path", ()))})

    def queue(self, shard: int) -> str:
        """Return the queue on which this shard is searched."""
        return f"{self.queue_prefix}.{shard}"

    def queues(self) -> tuple[str, ...]:
        """Return the queues of all shards, in order."""
        return tuple(self.queue(shard) for shard in range(self.shards))

    def shard_of(self, queue: str) -> int | None:
        """Return the number of the shard that is searched on a queue, however many there are."""
        prefix, _, number = queue.rpartition(".")
        is_one = prefix == self.queue_prefix and number.isascii() and number.isdecimal()
        return int(number) if is_one and number == str(int(number)) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything the processes of one deployment agree on, derived from its flow file.

    ``fingerprint`` covers all that shapes chunks and vectors, and only that: two plans with equal
    fingerprints may share stored embeddings. ``score`` holds how rankings are fused and how many
    documents are judged again, ``reducers`` the rerankers that read the best of them.
    """

    collection: str
    port: int
    stages: tuple[StagePlan, ...]
    indexes: tuple[IndexPlan, ...]
    fingerprint: str
    score: Mapping[str, Any] = field(default_factory=dict)
    reducers: tuple[ComponentSpec, ...] = ()
    worker_replicas: Mapping[str, int] = field(default_factory=dict)
    learners: tuple[tuple[str, str], ...] = ()
    """Stage and branch of the components that must (or, of plug-ins, may) be trained."""

    @property
    def takes_media(self) -> bool:
        """Tell whether some stage takes images, videos or sounds."""
        return any(MEDIA & stage.branches.keys() for stage in self.stages)

    def queues(self) -> tuple[str, ...]:
        """Return every queue of the deployment, in the order a document and a query meet them."""
        return tuple(queue for queue, _ in self.worker_groups())

    def worker_groups(self) -> list[tuple[str, int]]:
        """Return (queue, number of worker processes) for every queue, each queue once."""
        groups: dict[str, int] = {}
        if self.takes_media:
            for queue in (FETCH_QUEUE, PREVIEW_QUEUE):
                groups[queue] = self.worker_replicas.get(queue, 1)
        for stage in self.stages:
            groups[stage.queue] = max(groups.get(stage.queue, 0), stage.replicas)
        # The dispatcher lives with the index queue, so a flow without an Indexer has it too.
        groups[INDEX_QUEUE] = self.worker_replicas.get(INDEX_QUEUE, 1)
        for index in self.indexes:
            groups |= dict.fromkeys(index.queues(), index.replicas)
        if self.indexes:
            groups[REDUCE_QUEUE] = self.worker_replicas.get(REDUCE_QUEUE, 1)
        groups[BUILD_QUEUE] = self.worker_replicas.get(BUILD_QUEUE, 1)
        return list(groups.items())

    def stages_of(self, kind: Literal["preprocess", "encode"]) -> tuple[StagePlan, ...]:
        """Return the stages of one kind, in order."""
        return tuple(stage for stage in self.stages if stage.kind == kind)

    def asked(self, mode: str) -> tuple[int, ...]:
        """Return the places of the indexes that a search of this mode may ask."""
        return tuple(at for at, index in enumerate(self.indexes) if mode in {"hybrid", index.kind})

    def vectors_of(self, modality: str) -> tuple[str, ...]:
        """Return the names of the vectors that a content of this modality gets."""
        stages = self.stages_of("encode")
        return tuple(stage.vector for stage in stages if stage.component(modality) is not None)

    @property
    def rescores(self) -> bool:
        """Tell whether score functions of the flow take the place of the shards' own score."""
        return any(index.functions for index in self.indexes)

    @property
    def candidates(self) -> int:
        """Return how many documents are scored again after merging; 0 when none is."""
        if not (self.rescores or self.reducers):
            return 0
        return int(self.score.get("candidates", CANDIDATES))

    def with_shards(self, numbers: Mapping[int, int]) -> "Plan":
        """Return the plan with other numbers of shards, by the place of their index."""
        changed = {at: n for at, n in numbers.items() if self.indexes[at].shards != n}
        if not changed:
            return self
        return replace(
            self,
            indexes=tuple(
                replace(index, shards=changed.get(at, index.shards))
                for at, index in enumerate(self.indexes)
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain dicts, lists, strings and numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Plan":
        """Build the plan again from ``to_dict`` (or from its JSON or msgpack)."""
        return cls(
            **{
                **data,
                "stages": tuple(StagePlan.from_dict(stage) for stage in data["stages"]),
                "indexes": tuple(IndexPlan.from_dict(index) for index in data["indexes"]),
                "learners": tuple(tuple(pair) for pair in data.get("learners", ())),
                "reducers": tuple(ComponentSpec.from_dict(spec) for spec in data["reducers"]),
            }
        )
