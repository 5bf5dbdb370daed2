"""What one worker process holds: its plan, its components, its stores; loaded once, then read.

The only module-level state of the workers is this per-process runtime. Which parts are loaded
follows from the queues the process consumes, so an encode worker opens no index and a search
worker loads no model.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import redis as redis_client
from celery import current_app
from redis.backoff import ConstantBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from compose.plan import ANY_MODALITY, ComponentSpec, IndexPlan, Plan, StagePlan
from compose.wire import names
from compose.wire.messages import Target
from indexstore.blobs import Blobs
from indexstore.cache import EmbeddingCache
from indexstore.engines import registry as engines
from indexstore.errors import IndexStoreError
from indexstore.generations import Generations
from indexstore.layouts import Layout, Layouts
from indexstore.ledger import Ledger
from indexstore.log import Log
from indexstore.manifest import Manifest
from indexstore.media import MediaStore
from indexstore.migrations import migrate
from indexstore.model import IndexConfig
from indexstore.place import Place
from indexstore.weights import Weights
from workers.component import Component, Encoder, Preprocessor, Reranker, Tally, Trainable, digest
from workers.errors import ContentError, WeightsChangedError
from workers.learned import Learned
from workers.registry import build

C = TypeVar("C", bound=Component)

VERSION = "0.1.0"
logger = logging.getLogger(__name__)
_KINDS: dict[str, type[Component]] = {"preprocess": Preprocessor, "encode": Encoder}


@dataclass(frozen=True, slots=True)
class InHand:
    """The task that a process works on."""

    task_id: str
    queue: str
    since: float  # seconds since the epoch


class Runtime:
    """The state of one worker process.

    Args:
        config: ``app.conf.gnes``: the settings and the plan as plain data.
        queues: the queues this process consumes.
    """

    def __init__(self, config: dict[str, Any], queues: tuple[str, ...]) -> None:
        self.settings: dict[str, Any] = config["settings"]
        self.plan = Plan.from_dict(config["plan"])
        self.queues = queues
        self.started_at = time.time()
        self.tasks_done = 0
        self.in_hand: InHand | None = None
        self._components: dict[tuple[int, str], Component] = {}
        self._tallies: list[tuple[str, Tally]] = []
        self._settled: set[tuple[str, str, int]] = set()
        self._lock = threading.Lock()

    @property
    def collection(self) -> str:
        """Name of the collection that this deployment serves."""
        return self.plan.collection

    @cached_property
    def redis(self) -> Any:
        """A client of the store that holds replies, chords and announcements."""
        return redis_client.Redis.from_url(
            current_app.conf.result_backend,
            socket_timeout=10,
            socket_connect_timeout=2,
            health_check_interval=10,
            # A broker that restarts is worth two more tries; one that is gone holds nobody up.
            retry=Retry(ConstantBackoff(0.1), 2),
        )

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger of documents and jobs."""
        return Ledger.open(self.settings["database_url"])

    @cached_property
    def log(self) -> Log:
        """The log of chunks and embeddings."""
        return Log.open(self.settings["database_url"])

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest of published segments."""
        return Manifest.open(self.settings["database_url"])

    @cached_property
    def cache(self) -> EmbeddingCache:
        """The embedding cache of this machine."""
        path = Path(self.settings["data_dir"]) / "cache.db"
        return EmbeddingCache.open(path, max_bytes=self.settings["cache_bytes"])

    @cached_property
    def media(self) -> MediaStore:
        """The store of images, sounds and films."""
        return MediaStore(self.settings["blob_url"])

    @cached_property
    def generations(self) -> Generations:
        """The generations of the collection, and what components have learnt for each."""
        return Generations.open(self.settings["database_url"])

    @cached_property
    def layouts(self) -> Layouts:
        """How many shards each index has, and shall have."""
        return Layouts.open(self.settings["database_url"])

    def layout(self) -> list[Layout]:
        """Return the layout of each index of the flow, in their order."""
        known = self.layouts.read(self.collection)
        return [known[index.name] for index in self.plan.indexes]

    def targets(self) -> list[Target]:
        """Return every shard of the layouts that shall serve."""
        return [
            (at, shard, layout.wanted)
            for at, layout in enumerate(self.layout())
            for shard in range(layout.wanted)
        ]

    @cached_property
    def learned(self) -> Learned:
        """The components of this process that learn, with what they have learnt."""
        return Learned(self.generations, self.collection, self.media)

    @cached_property
    def weights(self) -> Weights:
        """Which weights made the vectors of each generation."""
        return Weights(self.generations.database)

    def generation(self) -> int:
        """Return the generation that serves now."""
        return self.ledger.collection(self.collection).generation

    def lineage(self, generation: int) -> str | None:
        """Return a hash of all that shapes chunks and vectors of a generation.

        None while no encoder has said which weights it has: then nobody knows.
        """
        try:
            weights = self.weights.of(self.collection, generation)
            learnt = self.learned.lineage(generation) if self.plan.learners else ""
        except IndexStoreError as error:
            logger.warning("what shapes vectors cannot be asked for: %s", error)
            return None
        if self.plan.stages_of("encode") and not weights:
            return None
        return ":".join((self.plan.fingerprint, digest(sorted(weights.items())), learnt))

    @property
    def keeps_texts(self) -> bool:
        """Whether the log must hold the chunks' texts: only a full-text index reads them."""
        return any(index.kind == "text" for index in self.plan.indexes)

    def stages_here(self) -> list[StagePlan]:
        """Return the stages of the plan whose queue this process consumes."""
        return [stage for stage in self.plan.stages if stage.queue in self.queues]

    def shards_here(self) -> list[tuple[int, int]]:
        """Return (index, shard) of every shard whose queue this process consumes."""
        return [
            (position, shard)
            for queue in self.queues
            for position, index in enumerate(self.plan.indexes)
            if (shard := index.shard_of(queue)) is not None
        ]

    def load_components(self) -> None:
        """Create and set up every component this process hosts.

        Raises:
            ComponentError: one cannot be made; its text says which and why.
        """
        for stage in self.stages_here():
            for modality in stage.branches:
                made = self.bare_component(stage, modality)
                made.fingerprint()  # reads all weights; the first batch asks for it
        if names.REDUCE_QUEUE in self.queues:
            _ = self.rerankers

    def open_store(self) -> None:
        """Bring the database to its newest schema and check that the collection is of this flow.

        Raises:
            FingerprintMismatchError: its vectors were made by another encoder.
        """
        if all(queue in self._queues_of_stages() for queue in self.queues):
            return  # stages work on what messages bring them
        migrate(self.settings["database_url"])
        declared = {index.name: index.shards for index in self.plan.indexes}
        self.ledger.ensure_collection(
            self.collection,
            fingerprint=self.plan.fingerprint,
            shards=max(declared.values(), default=1),
        )
        self.layouts.declare(self.collection, declared)

    def check_indexes(self) -> None:
        """Make each index's engine once, empty: what cannot be is told before a segment is due.

        Raises: EngineError, PluginFileError.
        """
        for index in self.plan.indexes:
            if index.kind == "text":
                engines.text_engine(index_config(index))
            elif index.dim:
                engines.create(index_config(index), dim=index.dim).check()

    def _queues_of_stages(self) -> set[str]:
        return {stage.queue for stage in self.plan.stages}

    @property
    def segment_cache(self) -> Path:
        """Where segments of an object store lie on this machine."""
        return Path(self.settings["data_dir"]) / "segments"

    def place(self, target: Target, generation: int = 0) -> Place:
        """Return where a shard of an index of the flow stands.

        Args:     generation: 0 is the one that serves.
        """
        index, shard, of = target
        return Place(
            log=self.log,
            manifest=self.manifest,
            blobs=Blobs(self.settings["blob_url"], cache=self.segment_cache),
            config=replace(index_config(self.plan.indexes[index]), shards=of),
            collection=self.collection,
            shard=shard,
            generation=generation or self.generation(),
        )

    @cached_property
    def rerankers(self) -> tuple[Reranker, ...]:
        """The flow's rerankers, set up."""
        return tuple(self._ready("rerank", spec, Reranker) for spec in self.plan.reducers)

    def component(self, stage: StagePlan, modality: str, generation: int = 0) -> Any:
        """Return the component of ``stage`` for ``modality``, set up on first use.

        One that learns comes with what it has learnt for ``generation`` (0: the one that serves);
        before its first training it comes as it is, and says so when it is used.

        Raises:
            ContentError: the flow has none for this modality; the document fails alone.
            WeightsChangedError: what is stored was encoded by another model.
        """
        made = self.bare_component(stage, modality)
        key = (stage.name, branch_of(stage, modality))
        if generation and (*key, generation) not in self._settled:
            self._settle(key, generation, made)
        if not isinstance(made, Trainable) or made.is_trained:
            return made
        return (
            self.learned.component(
                key, generation or self.generation(), lambda: self.fresh_component(stage, modality)
            )
            or made
        )

    def _settle(self, key: tuple[str, str], generation: int, made: Component) -> None:
        """See that a component is the one that encodes a generation; the first one is."""
        here = made.fingerprint()
        try:
            stored = self.weights.settle(self.collection, generation, key, here)
        except IndexStoreError as error:  # the database is away, or not made yet
            logger.warning("%s works on without asking which model it was: %s", key[0], error)
            return
        if stored != here:
            raise WeightsChangedError(key[0], stored, here)
        self._settled.add((*key, generation))

    def fresh_component(self, stage: StagePlan, modality: str) -> Any:
        """Return a new component of ``stage`` for ``modality``, set up, that has learnt nothing."""
        spec = stage.component(modality)
        if spec is None:
            raise ContentError(f"step {stage.name!r} of this flow does not take {modality}")
        return self._ready(stage.name, spec, _KINDS[stage.kind])

    def bare_component(self, stage: StagePlan, modality: str) -> Any:
        """Return the component as the flow describes it, before any training.

        Raises:
            ContentError: the flow has none for this modality; the document fails alone.
        """
        branch = branch_of(stage, modality)
        key = (stage.index, branch)
        made = self._components.get(key)
        if made is None:
            spec = stage.component(modality)
            if spec is None:
                taken = ", ".join(sorted(stage.branches))
                raise ContentError(
                    f"step {stage.name!r} of this flow takes {taken}, not {modality}",
                    f"add a branch for {modality} to the flow, or send {taken}",
                )
            made = self._make(key, spec, stage)
        return made

    def _make(self, key: tuple[int, str], spec: ComponentSpec, stage: StagePlan) -> Component:
        with self._lock:
            if key not in self._components:
                self._components[key] = self._ready(stage.name, spec, _KINDS[stage.kind])
            return self._components[key]

    def _ready(self, name: str, spec: ComponentSpec, kind: type[C]) -> C:
        """Return a new component, set up, whose tally is read under this name."""
        made = build(spec, kind=kind)
        made.setup()
        self._tallies += [(name, tally) for tally in made.tallies()]
        return made

    def take_counts(self) -> dict[tuple[str, str], int]:
        """Return what the components counted since the last time, by stage and thing."""
        counts: Counter[tuple[str, str]] = Counter()
        for stage, tally in list(self._tallies):
            counts.update({(stage, what): number for what, number in tally.take().items()})
        return dict(counts)

    def announce_log(self) -> None:
        """Wake whoever tails the log; they poll as well, so a lost wake-up costs milliseconds."""
        try:
            self.redis.publish(names.log_channel(self.collection), b"")
        except (RedisError, OSError) as error:
            logger.warning("readers of the log were not woken: %s", error)


def branch_of(stage: StagePlan, modality: str) -> str:
    """Return the branch of a stage that takes this modality."""
    return modality if modality in stage.branches else ANY_MODALITY


def index_config(plan: IndexPlan) -> IndexConfig:
    """Return the index store's view of one Indexer of the flow."""
    return IndexConfig(
        name=plan.name,
        kind=plan.kind,
        engine=plan.engine,
        options=plan.options,
        metric=plan.metric,
        vector=plan.vector,
        dim=plan.dim,
        shards=plan.shards,
        py_path=plan.py_path,
    )


_current: Runtime | None = None
_current_pid = 0
_making = threading.Lock()


def runtime() -> Runtime:
    """Return this process's runtime, made on first use (again after a fork)."""
    global _current, _current_pid  # noqa: PLW0603  # the per-process cache, the one state we keep
    with _making:
        if _current is None or _current_pid != os.getpid():
            queues = tuple(current_app.amqp.queues.consume_from)
            _current = Runtime(current_app.conf.gnes, queues)
            _current_pid = os.getpid()
        return _current
