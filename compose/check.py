"""Do the steps of a flow fit together? Modalities, dimensions, the places of explicit routers."""

from collections.abc import Mapping
from dataclasses import replace

from compose.builtin import CODES, ENGINES
from compose.component import unmet
from compose.errors import one_of
from compose.flow import Flow, Step, depths_of
from compose.joining import AVERAGE, joined, joined_by
from compose.keys import MODALITIES
from compose.plan import ANY_MODALITY
from compose.reading import Reading
from compose.specs import Resolved

#: What an encoder of embeddings (PCA, PQ, ...) lists as its input.
EMBEDDING = "embedding"
#: A modality whose chunks are of another one: frames of a video are images.
_CUT_INTO: Mapping[str, tuple[str, ...]] = {"video": ("video", "image"), "audio": ("audio",)}

#: Worker processes that one flow may ask for.
MAX_PROCESSES = 4096

Branches = Mapping[str, Resolved]


def check_flow(flow: Flow, resolved: Mapping[str, Branches], reading: Reading) -> Flow:
    """Return the flow with kinds, dimensions and modalities filled in; notes what cannot fit."""
    checked: dict[str, Step] = {}
    for step in flow.steps:
        branches = _by_modality(resolved[step.id])
        specs = {key: found.spec for key, found in branches.items()}
        kind = next((found.kind for found in branches.values()), "")
        step = replace(step, branches=specs, kind=kind)  # noqa: PLW2901 - the same, better known
        if step.service == "Encoder":
            step = _encoder(step, branches, flow, resolved, reading)  # noqa: PLW2901 - as above
        if step.service == "Indexer":
            step = _indexer(step, branches, reading)  # noqa: PLW2901 - as above
        checked[step.id] = step
    flow = replace(flow, steps=tuple(checked.values()))
    _check_size(flow, reading)
    _check_averages(flow, reading)
    whole = joined(flow)
    for step in whole.of_service("Indexer"):
        _check_dimension(step, whole, resolved[step.id], reading)
    return flow


def _check_averages(flow: Flow, reading: Reading) -> None:
    """Vectors can be averaged only where all are of one length."""
    for router in flow.of_service("Router"):
        dims = [step.dim for step in joined_by(router, flow) if step.dim]
        if router.component and router.component.uses == AVERAGE and len(set(dims)) > 1:
            problem = f"averages vectors of {' and '.join(map(str, dims))} dimensions"
            reading.add(router.mark, router.fault_key(), problem, expected="one dimension")


def _check_size(flow: Flow, reading: Reading) -> None:
    """A flow cannot ask for more processes than any cluster, or drawing, could hold."""
    processes = sum(step.index_shards * step.index_replicas for step in flow.steps)
    if processes > MAX_PROCESSES:
        mark = flow.steps[0].mark
        expected = f"at most {MAX_PROCESSES}"
        reading.add(mark, "services", f"{processes} processes are asked for", expected=expected)


def _by_modality(branches: Branches) -> dict[str, Resolved]:
    """Replace "*" by the modalities its component takes, where the catalog says them."""
    found = branches.get(ANY_MODALITY)
    named = found and [name for name in found.inputs if name in MODALITIES]
    return dict.fromkeys(named, found) if found and named else dict(branches)


def reads_embeddings(branches: Branches) -> bool:
    """Whether an encoder starts from another encoder's vectors, not from chunks."""
    inputs = [found.inputs for found in branches.values()]
    return bool(inputs) and all(EMBEDDING in names for names in inputs)


def _encoder(
    step: Step, branches: Branches, flow: Flow, resolved: Mapping[str, Branches], reading: Reading
) -> Step:
    dims = {found.dim for found in branches.values()}
    metrics = {found.metric for found in branches.values()}
    step = replace(step, metric=metrics.pop() if len(metrics) == 1 else "")
    if len(dims) > 1:
        shown = ", ".join(f"{key} {found.dim}" for key, found in branches.items())
        problem = f"branches of one encoder differ in dimension: {shown}"
        reading.add(step.mark, step.fault_key(), problem, expected="one dimension")
    before = [other for other in flow.before(step) if other.service != "Router"]
    if reads_embeddings(branches):
        sources = [other for other in before if other.service == "Encoder"]
        if not sources:
            problem = "encodes embeddings, but no encoder stands before it"
            reading.add(step.mark, step.fault_key(), problem, expected="an encoder of chunks first")
        else:
            dims = _behind(step, branches, resolved[sources[-1].id], dims, reading)
        return replace(step, dim=dims.pop(), kind=EMBEDDING)
    for other in before:
        if other.service == "Preprocessor":
            _check_modality(step, branches, other, _by_modality(resolved[other.id]), reading)
    return replace(step, dim=dims.pop() if dims else None)


def _behind(
    step: Step, branches: Branches, source: Branches, dims: set[int | None], reading: Reading
) -> set[int | None]:
    """Return the dimensions of an encoder of embeddings behind another one, which must suit it."""
    given = {found.dim for found in source.values()}
    for found in branches.values():
        for dim in given:
            if expected := unmet(found.takes_dim, dim):
                problem = f"is given vectors of {dim} dimensions"
                reading.add(step.mark, step.fault_key(), problem, expected=expected)
    return given if all(found.keeps_dim for found in branches.values()) else dims


def _check_modality(
    step: Step, branches: Branches, source: Step, given: Branches, reading: Reading
) -> None:
    """An encoder must take at least one of the modalities that its preprocessor gives."""
    chunks = {kind for key, found in given.items() for kind in found.outputs or _cut_into(key)}
    wanted = set(branches) | {name for found in branches.values() for name in found.inputs}
    if not chunks or not wanted or ANY_MODALITY in chunks | wanted or chunks & wanted:
        return
    takes, gives = " and ".join(sorted(wanted)), " and ".join(sorted(chunks))
    problem = f"takes {takes}, but {source.fault_key()} gives {gives}"
    reading.add(step.mark, step.fault_key(), problem, expected=f"an encoder of {gives}")


def _cut_into(modality: str) -> tuple[str, ...]:
    return _CUT_INTO.get(modality, (modality,))


def _indexer(step: Step, branches: Branches, reading: Reading) -> Step:
    """Say what an Indexer holds; GNES's joint indexer is its vector half."""
    found = next(iter(branches.values()), None)
    if found is None:
        return step
    spec = found.spec
    if spec.pipeline:
        vectors = [part for part in spec.pipeline if part.uses != "documents"]
        if len(vectors) != 1:
            problem = f"{len(vectors)} indexes joined in one Indexer"
            reading.add(step.mark, step.fault_key(), problem, expected="one vector index a layer")
        spec = vectors[0] if vectors else spec.pipeline[0]
    kind = "text" if "text" in found.inputs else "vector"
    if spec.uses == "documents":
        kind = "documents"
    return replace(step, branches={ANY_MODALITY: spec}, kind=kind)


def _check_dimension(step: Step, flow: Flow, branches: Branches, reading: Reading) -> None:
    if step.kind != "vector":
        return
    encoder = encoder_of(step, flow)
    wanted = next((found.dim for found in branches.values()), None)
    if encoder is None:
        preprocessed = any(other.service == "Preprocessor" for other in flow.before(step))
        if preprocessed and not any(other.service == "Encoder" for other in flow.steps):
            problem = "no encoder stands before it"
            reading.add(step.mark, step.fault_key(), problem, expected="an Encoder layer")
        return
    _check_codes(step, encoder, reading)
    if encoder.dim and wanted and encoder.dim != wanted:
        mark = next(iter(branches.values())).marks.get("dim", step.mark)
        problem = f"{encoder.fault_key()} gives {encoder.dim}, {step.fault_key()} wants {wanted}"
        reading.add(mark, "dim", problem, expected=f"{encoder.dim}, or no `dim` at all")


def _check_codes(step: Step, encoder: Step, reading: Reading) -> None:
    """Codes are compared by equal bytes or by bits, which few engines do; vectors by all others."""
    engine = step.component.uses if step.component else ""
    known = {one.name for one in ENGINES}
    if encoder.metric and engine in known and encoder.metric not in CODES.get(engine, ()):
        named = [name for name, metrics in CODES.items() if encoder.metric in metrics]
        problem = f"{encoder.fault_key()} gives codes, which {engine} cannot compare"
        reading.add(step.mark, step.fault_key(), problem, expected=one_of(named))
    elif engine == "buckets" and encoder.metric != "buckets" and encoder.dim:
        problem = f"{encoder.fault_key()} gives no bits in buckets"
        reading.add(step.mark, step.fault_key(), problem, expected="HashBits before it")


def encoder_of(step: Step, flow: Flow) -> Step | None:
    """Return the encoder whose vectors an Indexer holds: the one it names, or the nearest.

    Where encoders stand side by side, the first index takes the first one's vectors, and so on.
    """
    encoders = [other for other in flow.before(step) if other.service == "Encoder"]
    if step.vector is not None:
        return next((other for other in encoders if step.vector in (other.id, other.vector)), None)
    depths = depths_of(flow.steps)
    deepest = max((depths[other.id] for other in encoders), default=0)
    nearest_ones = [other for other in encoders if depths[other.id] == deepest]
    peers = [
        other.id
        for other in flow.of_service("Indexer")
        if other.kind == "vector" and depths[other.id] == depths[step.id]
    ]
    position = peers.index(step.id) if step.id in peers else 0
    return nearest_ones[min(position, len(nearest_ones) - 1)] if nearest_ones else None
