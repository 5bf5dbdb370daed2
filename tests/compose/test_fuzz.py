"""Whatever stands in a flow file, it is a flow or a FlowError, never anything else."""

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compose.api import Flow
from compose.errors import FlowError
from compose.keys import BRANCHES, FLOW, STEP, names
from compose.load import load_flow, parse_flow
from compose.planning import plan_of
from compose.render.flow_yaml import flow_yaml
from compose.render.targets import TARGETS, render
from compose.render.yaml_text import dump

COMPONENTS = [
    "MiniLM",
    "SentenceSplitter",
    "hnsw",
    "exact",
    "bm25",
    "PCA",
    "avg",
    "BaseRouter",
    "LVDBIndexer",
    "EncoderPipeline",
    "ConcatEncoder",
    "a.b.C",
    "x.yml",
    "!A {b: 1}",
]
SERVICES = ["Preprocessor", "Encoder", "Indexer", "Router", "Frontend"]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-3, 2000)
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from([*COMPONENTS, *SERVICES, "pull", "sub", "$HOME", "Encoder0", "a", "text"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["uses", "with", "yaml_path", "components", "dim", "parameters", "x"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=6,
)
WORDS = st.sampled_from([*names(STEP), *names(BRANCHES), "other"])
SERVICE = st.builds(
    lambda name, keys: {**keys, "name": name},
    st.sampled_from(SERVICES),
    st.dictionaries(WORDS, ANYTHING, max_size=4),
)
SANE_SERVICE = st.builds(
    lambda name, keys: {"name": name, **keys},
    st.sampled_from(SERVICES[:4]),
    st.fixed_dictionaries(
        {},
        optional={
            "replicas": st.integers(1, 4),
            "shards": st.integers(1, 3),
            "uses": st.sampled_from(COMPONENTS[:9]),
            "income": st.sampled_from(["pull", "sub"]),
            "id": st.sampled_from(["a", "b", "c-d", "end"]),
            "needs": st.lists(st.sampled_from(["a", "b", "c-d"]), max_size=2),
            "queue": st.sampled_from(["gpu", "other.queue"]),
            "image": st.just("an/image:1"),
        },
    ),
)


def _layers(service: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[list[Any]]:
    return st.lists(service | st.lists(service, max_size=3), max_size=4)


WILD = st.dictionaries(st.sampled_from(names(FLOW)), ANYTHING, max_size=3).flatmap(
    lambda head: st.builds(lambda services: {**head, "services": services}, _layers(SERVICE))
)
QUIET = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUIET
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin-1")))
def test_any_text_is_a_flow_or_a_flow_error(text: str) -> None:
    """No characters make the reader fail in another way."""
    with suppress(FlowError):
        parse_flow(text)


@QUIET
@given(WILD | ANYTHING.map(lambda value: {"services": value}))
def test_any_structure_is_a_flow_or_a_flow_error(document: dict[str, Any]) -> None:
    """Known keys with values of every kind, from a stranger and from the operator."""
    text = dump(document)
    with suppress(FlowError):
        plan_of(parse_flow(text))
    with suppress(FlowError):
        plan_of(load_flow(text + "\n", environ={}))


@QUIET
@given(_layers(SANE_SERVICE), st.sampled_from(sorted(TARGETS)))
def test_whatever_loads_is_rendered(layers: list[Any], target: str) -> None:
    """A flow without faults becomes every target, unless its steps cannot be run in that order."""
    with suppress(FlowError):
        flow = parse_flow(dump({"services": layers}))
        assert render(flow, target)


@QUIET
@given(_layers(SANE_SERVICE))
def test_whatever_loads_is_written_and_read_back(layers: list[Any]) -> None:
    """A flow's own YAML means the flow, in text and in Python."""
    try:
        flow = parse_flow(dump({"services": layers}))
    except FlowError:
        return

    again = parse_flow(flow_yaml(flow))

    assert again.steps == flow.steps
    with suppress(FlowError):
        assert Flow.load(flow_yaml(flow) + "\n").plan() == plan_of(flow)
