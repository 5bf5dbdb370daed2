"""What a flow means at run time: queues, workers, vectors, fingerprints."""

import json
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from compose.catalog import Catalog
from compose.errors import FlowError, FlowTopologyError
from compose.flow import Flow
from compose.load import load_flow
from compose.plan import ComponentSpec, Plan
from compose.planning import collection_of, modalities_of, plan_of

PlanText = Callable[[str], Plan]
FLOWS = sorted(Path("flows").glob("*.yml"))

WIDE = """
name: wide
services:
  - {name: Preprocessor, replicas: 2}
  - {name: Encoder, replicas: 2}
  - - {name: Indexer, id: vectors, shards: 3, replicas: 2}
    - {name: Indexer, id: words, uses: bm25, replicas: 2}
"""


@pytest.fixture
def plan(load: Callable[..., Flow], catalog: Catalog) -> PlanText:
    """Load a flow and plan it."""
    return lambda text: plan_of(load(text), catalog=catalog)


def test_the_default_flow_is_text_search_on_two_shards() -> None:
    """``flows/text.yml``: sentence splitter, MiniLM, two shards of a navigable graph."""
    plan = plan_of(load_flow("flows/text.yml"))

    assert (plan.collection, modalities_of(plan)) == ("text", ("text",))
    assert [stage.branches["text"].uses for stage in plan.stages] == ["SentenceSplitter", "MiniLM"]
    assert [(index.engine, index.dim, index.shards) for index in plan.indexes] == [("hnsw", 384, 2)]
    assert plan.queues() == (
        "preprocess", "encode", "index", "search.text.0", "search.text.1", "reduce", "build",
    )  # fmt: skip


@pytest.mark.parametrize("path", FLOWS, ids=lambda path: path.name)
def test_every_flow_of_the_house_has_a_plan(path: Path) -> None:
    """The examples load with the catalog as it is."""
    assert plan_of(load_flow(path)).queues()


def test_each_queue_has_its_workers(plan: PlanText) -> None:
    """GNES's ``replicas`` of an Indexer are shards; beside ``shards`` they are replicas."""
    groups = plan(WIDE).worker_groups()

    assert groups == [
        ("preprocess", 2),
        ("encode", 2),
        ("index", 1),
        ("search.wide.0", 2),
        ("search.wide.1", 2),
        ("search.wide.2", 2),
        ("search.wide.words.0", 1),
        ("search.wide.words.1", 1),
        ("reduce", 1),
        ("build", 1),
    ]


def test_a_flow_may_say_how_many_index_reduce_and_build_workers(plan: PlanText) -> None:
    """``workers`` counts the groups that no layer stands for."""
    groups = dict(plan(WIDE + "workers: {index: 3, reduce: 2}\n").worker_groups())

    assert (groups["index"], groups["reduce"], groups["build"]) == (3, 2, 1)


def test_a_partial_flow_has_only_the_queues_it_needs(plan: PlanText) -> None:
    """Preprocessing alone, or training an encoder, starts no shard and reduces nothing."""
    assert plan("services:\n- {name: Preprocessor, replicas: 3}\n- name: Encoder\n").queues() == (
        "preprocess", "encode", "index", "build",
    )  # fmt: skip


def test_a_plan_crosses_any_wire_unchanged(plan: PlanText) -> None:
    """JSON and msgpack give back an equal plan."""
    whole = plan(
        WIDE.replace(
            "name: Encoder", "name: Encoder, uses: [MiniLM, {uses: PCA, with: {output_dim: 8}}]"
        )
    )

    assert Plan.from_dict(json.loads(json.dumps(whole.to_dict()))) == whole
    assert Plan.from_dict(msgpack.unpackb(msgpack.packb(whole.to_dict()))) == whole


def test_further_stages_of_a_kind_have_queues_of_their_own(plan: PlanText) -> None:
    """The first encoder answers on ``encode``; the second under its name, or as the flow says."""
    found = plan(
        "services:\n- name: Preprocessor\n- name: Encoder\n"
        "- {name: Encoder, id: shrink, uses: PCA, with: {output_dim: 8}}\n"
        "- {name: Encoder, uses: PCA, with: {output_dim: 4}, queue: gpu}\n- name: Indexer\n"
    )

    assert [stage.queue for stage in found.stages] == [
        "preprocess", "encode", "encode.shrink", "gpu",
    ]  # fmt: skip
    assert [(stage.reads, stage.vector) for stage in found.stages[1:]] == [
        (None, ""), ("", ""), ("", ""),
    ]  # fmt: skip
    assert found.indexes[0].dim == 4


@pytest.mark.parametrize(
    "encoders",
    [
        "{name: Encoder, uses: [MiniLM, Normalizer]}",
        "{name: Encoder, uses: MiniLM}\n- {name: Encoder, uses: Normalizer}",
    ],
)
def test_a_normalizer_keeps_the_dimension(plan: PlanText, encoders: str) -> None:
    """Scaling a vector does not change its length, in a pipeline or as a step of its own."""
    found = plan(f"services:\n- name: Preprocessor\n- {encoders}\n- name: Indexer\n")

    assert found.indexes[0].dim == 384


def test_encoders_side_by_side_write_vectors_of_their_own(plan: PlanText) -> None:
    """Each index beside the others takes the vectors of the encoder in its place, or by name."""
    found = plan(
        "services:\n- name: Preprocessor\n- - {name: Encoder, id: a}\n"
        "  - {name: Encoder, id: b, uses: Hashing}\n"
        "- - {name: Indexer}\n  - {name: Indexer}\n  - {name: Indexer, vector: a}\n"
    )

    assert [(stage.name, stage.vector) for stage in found.stages[1:]] == [("a", ""), ("b", "b")]
    assert [(index.vector, index.dim) for index in found.indexes] == [
        ("", 384), ("b", 256), ("", 384),
    ]  # fmt: skip


def test_two_preprocessors_of_one_modality_side_by_side_are_refused(plan: PlanText) -> None:
    """Each would cut its own chunks; different modalities side by side are branches."""
    with pytest.raises(FlowTopologyError, match="both cut text"):
        plan("services:\n- - name: Preprocessor\n  - name: Preprocessor\n")

    found = plan("services:\n- - name: Preprocessor\n  - {name: Preprocessor, uses: WholeImage}\n")
    assert modalities_of(found) == ("text", "image")


def test_gnes_s_document_indexers_are_the_ledger(plan: PlanText) -> None:
    """A document store needs no queue; a joint indexer is its vector half."""
    found = plan(
        "services:\n- name: Preprocessor\n- name: Encoder\n- - name: Indexer\n"
        "    yaml_path: !JointIndexer {components: [!FaissIndexer {}, !DictIndexer {}]}\n"
        "  - {name: Indexer, yaml_path: LVDBIndexer, replicas: 3}\n"
    )

    assert [(index.engine, index.queues()) for index in found.indexes] == [
        ("faiss", ("search.gnes-app.0",))
    ]


def test_routers_of_gnes_say_how_to_score(plan: PlanText) -> None:
    """A reducer's operation and an indexer's score functions are those of that index."""
    found = plan(
        "services:\n- name: Preprocessor\n- name: Encoder\n- name: Indexer\n"
        "  yaml_path: !NumpyIndexer\n"
        "    parameters: {score_fn: !WeightedChunkScoreFn {parameters: {score_mode: sum}}}\n"
        "- {name: Router, yaml_path: '!Chunk2DocTopkReducer {parameters: {reduce_op: avg}}'}\n"
        "- {name: Router, uses: Reranker, with: {mode: best}}\nscore: {candidates: 20}\n"
    )

    (index,) = found.indexes
    assert index.functions == {"score_fn": {"uses": "WeightedChunk", "with": {"mode": "sum"}}}
    assert index.options == {"score": "avg"}
    assert found.score == {"candidates": 20}
    assert (found.rescores, found.candidates) == (True, 20)
    assert found.reducers == (ComponentSpec("Reranker", {"mode": "best"}),)


def test_a_reducer_by_name_is_how_shards_reduce(plan: PlanText) -> None:
    """``avg`` is no step of its own: each shard reduces its own documents so."""
    found = plan(
        "services:\n- name: Preprocessor\n- name: Encoder\n- name: Indexer\n"
        "- {name: Router, uses: avg}\n"
    )

    assert (found.indexes[0].options, found.reducers) == ({"score": "avg"}, ())


@pytest.mark.parametrize(
    ("change", "stays"),
    [
        (("replicas: 2", "replicas: 5"), True),
        (("name: wide", "name: wide\nport: 99"), True),
        (("shards: 3", "shards: 7"), True),
        (("uses: bm25", "uses: bm25, with: {language: english}"), True),
        (("Preprocessor,", "Preprocessor, with: {min_sent_len: 1},"), True),
        (("Preprocessor,", "Preprocessor, with: {threads: 4},"), True),
        (("Encoder,", "Encoder, uses: minilm, queue: gpu,"), True),
        (("Preprocessor,", "Preprocessor, with: {min_sent_len: 2},"), False),
        (("Preprocessor,", "Preprocessor, uses: [SentenceSplitter, Lowercase],"), False),
        (("Encoder,", "Encoder, uses: Hashing,"), False),
        (("Encoder,", "Encoder, uses: ConcatEncoder, with: {components: [MiniLM]},"), False),
    ],
)
def test_the_fingerprint_covers_what_shapes_chunks_and_vectors(
    plan: PlanText, change: tuple[str, str], *, stays: bool
) -> None:
    """Numbers of workers, queues and defaults written out change nothing; options do."""
    before, after = plan(WIDE).fingerprint, plan(WIDE.replace(*change)).fingerprint

    assert (before == after) is stays


def test_the_fingerprint_covers_the_code_of_plugins(
    load: Callable[..., Flow], catalog: Catalog
) -> None:
    """Another version of a plug-in file is another encoder."""
    text = "services:\n- {name: Encoder, uses: Mine, py_path: mine.py}\n"
    source = "class Mine(Encoder):\n    dim = 3\n"

    first = plan_of(load(text, mine__py=source), catalog=catalog).fingerprint
    second = plan_of(load(text, mine__py=source + "# v2\n"), catalog=catalog).fingerprint

    assert first != second


@pytest.mark.parametrize(
    ("name", "collection"),
    [("text", "text"), ("GNES app", "gnes-app"), ("Ümlaut 2!", "mlaut-2"), ("a_b-c", "a_b-c")],
)
def test_a_collection_is_named_after_its_flow(name: str, collection: str) -> None:
    """The name is made fit for queues, files and URLs."""
    assert collection_of(name) == collection


@pytest.mark.parametrize(
    "score",
    [
        "{fusion: best}",
        "{weights: {near: 1.0}}",
        "{weights: {indexer0: heavy}}",
        "{weights: {indexer0: -1}}",
        "{weights: [1, 2]}",
        "{rank_constant: 0}",
        "{candidates: many}",
        "{rerank: 1.5}",
    ],
)
def test_a_fusion_that_means_nothing_is_refused(plan: PlanText, score: str) -> None:
    """An unknown way, an index that the flow lacks, a weight or a number that is none."""
    steps = "- {name: Encoder, uses: Hashing}\n- {name: Indexer, id: indexer0, uses: hnsw}\n"

    with pytest.raises(FlowError, match=r"score\.") as caught:
        plan(f"services:\n{steps}score: {score}\n")

    assert [fault.line for fault in caught.value.faults] == [4]


def test_a_plan_can_have_other_numbers_of_shards(plan: PlanText) -> None:
    """Queues follow; a queue tells which shard is asked on it, however many there are."""
    wide = plan(WIDE)

    more = wide.with_shards({0: wide.indexes[0].shards + 1})

    first = more.indexes[0]
    assert len(more.queues()) == len(wide.queues()) + 1
    assert first.shard_of(first.queue(7)) == 7
    assert wide.with_shards({0: wide.indexes[0].shards}) is wide
    others = (f"{first.queue_prefix}.07", f"{first.queue_prefix}.x", first.queue_prefix, "encode")
    assert [first.shard_of(queue) for queue in others] == [None, None, None, None]
