"""From a checked flow to its plan: which queues, which workers, which vectors in which index."""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from compose.catalog import Catalog, default_catalog, kinds_for
from compose.check import EMBEDDING, encoder_of
from compose.errors import FlowTopologyError
from compose.flow import Flow, Step, depths_of
from compose.joining import joined
from compose.learning import learners
from compose.load import load_flow
from compose.plan import (
    ANY_MODALITY,
    ComponentSpec,
    IndexPlan,
    Metric,
    Plan,
    StagePlan,
)
from compose.scoring import functions_of, is_known, reducer_of

#: Changes when the same flow would give other chunks or vectors than before.
_FINGERPRINT_VERSION = 1
_STAGES: Mapping[str, Literal["preprocess", "encode"]] = {
    "Preprocessor": "preprocess",
    "Encoder": "encode",
}
#: Options of an Indexer that are no matter of its engine.
_NOT_ENGINE = ("dim", "metric", "normalize_fn", "score_fn", "is_big_score_similar")
_METRIC_OF_ENGINE: Mapping[str, Metric] = {"binary": "hamming", "buckets": "buckets"}


def load_plan(source: str | Path) -> Plan:
    """Return the plan of a flow file.

    Raises:
        FlowError: with every fault of the file.
        OSError: it cannot be read.
    """
    return plan_of(load_flow(source))


def plan_of(flow: Flow, *, catalog: Catalog | None = None) -> Plan:
    """Return what the flow means at run time.

    Raises:
        FlowTopologyError: the steps are fine one by one, but cannot be run in this order.
    """
    collection = collection_of(flow.name)
    flow = joined(flow)
    _refuse_rivals(flow)
    vectors = _vectors(flow)
    stages = tuple(_stages(flow, vectors))
    indexers = [step for step in flow.of_service("Indexer") if step.kind in ("vector", "text")]
    indexes = tuple(_index(step, flow, vectors, is_first=step is indexers[0]) for step in indexers)
    return Plan(
        collection=collection,
        port=flow.port,
        stages=stages,
        indexes=indexes,
        fingerprint=fingerprint(stages, flow.plugin_digests, catalog or default_catalog()),
        score=dict(flow.score),
        reducers=tuple(_reducers(flow)),
        worker_replicas=dict(flow.workers),
        learners=learners(stages, catalog or default_catalog()),
    )


def collection_of(name: str) -> str:
    """Return the collection a flow of this name fills: "GNES app" becomes "gnes-app"."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-_")[:63]


def fingerprint(
    stages: Iterable[StagePlan], digests: Iterable[str], catalog: Catalog | None = None
) -> str:
    """Return a hash of everything that shapes chunks and vectors, and of nothing else.

    Options are taken with their defaults, so that writing a default out changes nothing and a
    changed default does; how many workers there are, or on which queues, is left out.
    """
    known = catalog or default_catalog()
    described = [
        {
            "kind": stage.kind,
            "vector": stage.vector,
            "reads": stage.reads,
            "branches": {
                modality: _described(spec, stage.kind, known)
                for modality, spec in stage.branches.items()
            },
        }
        for stage in stages
    ]
    content = {"version": _FINGERPRINT_VERSION, "stages": described, "plugins": sorted(digests)}
    encoded = json.dumps(content, sort_keys=True, default=str).encode()
    return hashlib.sha256(encoded).hexdigest()[:32]


def _described(spec: ComponentSpec, kind: str, catalog: Catalog) -> Any:
    if spec.pipeline:
        parts = [_described(part, kind, catalog) for part in spec.pipeline]
        return {"uses": spec.uses, "options": spec.options, "of": parts} if spec.uses else parts
    service = "Preprocessor" if kind == "preprocess" else "Encoder"
    component = None if spec.py_path else catalog.find(spec.uses, kinds_for(service))
    options = component.with_defaults(spec.options) if component else dict(spec.options)
    return {"uses": spec.uses, "options": options}


def _refuse_rivals(flow: Flow) -> None:
    """Two preprocessors side by side for one modality would each make its own chunks."""
    depths = depths_of(flow.steps)
    taken: dict[tuple[int, str], Step] = {}
    for step in flow.of_service("Preprocessor"):
        for modality in step.branches:
            rival = taken.setdefault((depths[step.id], modality), step)
            if rival is not step:
                problem = f"{rival.fault_key()} and {step.fault_key()} both cut {modality}"
                expected = "one after the other, or one for each modality"
                key = step.fault_key()
                raise FlowTopologyError(step.mark.fault(key, problem, expected=expected))


def _vectors(flow: Flow) -> dict[str, str]:
    """Return the name of the vector each encoder writes; the first has the default one, ""."""
    names: dict[str, str] = {}
    for step in flow.of_service("Encoder"):
        if step.vector is not None:
            names[step.id] = step.vector
        elif step.kind == EMBEDDING:
            source = _source(step, flow)
            names[step.id] = names[source.id] if source else ""
        else:
            names[step.id] = "" if "" not in names.values() else step.id
    return names


def _source(step: Step, flow: Flow) -> Step | None:
    """Return the encoder whose vectors an encoder of embeddings starts from."""
    encoders = [other for other in flow.before(step) if other.service == "Encoder"]
    return encoders[-1] if encoders else None


def _stages(flow: Flow, vectors: Mapping[str, str]) -> Iterator[StagePlan]:
    seen: set[str] = set()
    steps = [step for step in flow.steps if step.service in _STAGES]
    for number, step in enumerate(sorted(steps, key=lambda step: step.service != "Preprocessor")):
        kind = _STAGES[step.service]
        queue = step.queue or (kind if kind not in seen else f"{kind}.{step.id.lower()}")
        seen.add(kind)
        source = _source(step, flow) if step.kind == EMBEDDING else None
        yield StagePlan(
            index=number,
            kind=kind,
            name=step.id,
            queue=queue,
            replicas=step.replicas,
            branches=dict(step.branches),
            vector=vectors.get(step.id, ""),
            reads=vectors[source.id] if source else None,
        )


def _index(step: Step, flow: Flow, vectors: Mapping[str, str], *, is_first: bool) -> IndexPlan:
    spec = step.component or ComponentSpec("hnsw")
    encoder = encoder_of(step, flow) if step.kind == "vector" else None
    prefix = f"search.{collection_of(flow.name)}"
    given = dict(spec.options)
    reducer = reducer_of(flow)
    if step.kind == "vector" and is_known(reducer):
        given.setdefault("score", reducer)
    dim = (encoder.dim if encoder else None) or given.get("dim")
    return IndexPlan(
        name=step.id.lower(),
        kind="text" if step.kind == "text" else "vector",
        engine=spec.uses,
        options={key: value for key, value in given.items() if key not in _NOT_ENGINE},
        metric=_metric(spec.uses, given.get("metric"), encoder),
        dim=dim if step.kind == "vector" else None,
        vector=vectors[encoder.id] if encoder else "",
        shards=step.index_shards,
        replicas=step.index_replicas,
        queue_prefix=step.queue or (prefix if is_first else f"{prefix}.{step.id.lower()}"),
        functions=functions_of(flow, step) if step.kind == "vector" else {},
        py_path=spec.py_path,
    )


def _metric(engine: str, given: Metric | None, encoder: Step | None) -> Metric:
    """Return how an index compares: as its options say, or as its engine and encoder need it.

    Codes such as those of PQ are numbers of clusters: two of them are equal, or not.
    """
    if encoder and encoder.metric:
        return cast("Metric", encoder.metric)  # the catalog names no other
    return given or _METRIC_OF_ENGINE.get(engine, "cosine")


def _reducers(flow: Flow) -> Iterator[ComponentSpec]:
    """Yield the Router steps that read the merged hits again."""
    for step in flow.of_service("Router"):
        spec = step.component
        if spec and step.kind == "reranker":
            yield spec


def modalities_of(plan: Plan) -> tuple[str, ...]:
    """Return the modalities a deployment takes in; "*" when a plug-in decides that itself."""
    stages = plan.stages_of("preprocess") or plan.stages_of("encode")
    found = {modality: None for stage in stages for modality in stage.branches}
    return tuple(found) or (ANY_MODALITY,)
