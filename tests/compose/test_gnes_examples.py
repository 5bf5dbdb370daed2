"""Flow files as GNES's users have them: each loads as it is and means what it meant."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from compose.flow import Flow
from compose.load import load_flow
from compose.planning import plan_of
from compose.routing import route

PREP = """\
!TextPreprocessor
parameters:
  start_doc_id: 0
  random_doc_id: true
  deliminator: "[.!?]+"
gnes_config:
  is_trained: true
"""
PIPELINE = """\
!PipelineEncoder
component:
  - !PyTorchTransformers
    parameters:
      model_dir: $BERT_MODEL
      model_name: bert-base-uncased
    gnes_config:
      is_trained: true
  - !PoolingEncoder
    parameters:
      pooling_strategy: REDUCE_MEAN
  - !PCALocalEncoder
    parameters:
      output_dim: 32
      num_locals: 8
    gnes_config:
      batch_size: 2048
  - !PQEncoder
    parameters:
      cluster_per_byte: 8
      num_bytes: 8
gnes_config:
  work_dir: ./
  name: bert-binary
"""
BINARY = """\
!BIndexer
parameters:
  num_bytes: 8
  data_path: ./index
"""
TEXT = """\
port: 5566
services:
- name: Preprocessor
  yaml_path: text-prep.yml
- name: Encoder
  yaml_path: encoder.yml
- name: Indexer
  yaml_path: b-indexer.yml
"""
IMAGE = """\
port: 5566
services:
- name: Preprocessor
  replicas: 2
  yaml_path: sliding.yml
- name: Encoder
  replicas: 3
  yaml_path: incep.yml
- - name: Indexer
    replicas: 4
    yaml_path: faiss.yml
  - name: Indexer
    replicas: 3
    yaml_path: fulltext.yml
"""

Write = Callable[..., Flow]


@pytest.fixture
def read(tmp_path: Path) -> Write:
    """Write a flow and its files, then load it with the catalog as it is."""

    def read_files(flow: str, **files: str) -> Flow:
        for name, content in files.items():
            path = tmp_path / name.replace("__", ".").replace("_", "-")
            path.write_text(content, encoding="utf-8")
        (tmp_path / "flow.yml").write_text(flow, encoding="utf-8")
        environ = {"BERT_MODEL": "/models/bert"}
        return load_flow(tmp_path / "flow.yml", environ=environ)

    return read_files


@pytest.mark.parametrize("encoder", ["BertEncoder", "GPT2Encoder"])
def test_encoders_of_one_family_are_the_transformer(read: Write, encoder: str) -> None:
    """GNES had a class for each; a folder says itself which family it is of."""
    options = "{model_dir: $BERT_MODEL, pooling_strategy: REDUCE_MAX}"
    found = read(
        "services:\n- {name: Preprocessor, yaml_path: UnaryPreprocessor}\n"
        f"- {{name: Encoder, yaml_path: '!{encoder} {{parameters: {options}}}'}}\n"
    )

    spec = found.of_service("Encoder")[0].component
    assert spec is not None
    assert spec.uses == "TransformerEncoder"
    assert spec.options == {"model_dir": "/models/bert", "pooling": "max"}


def test_the_text_pipeline_loads(read: Write) -> None:
    """A splitter, a transformer with local PCA and PQ, a binary index: four files as they were."""
    flow = read(TEXT, text_prep__yml=PREP, encoder__yml=PIPELINE, b_indexer__yml=BINARY)

    plan = plan_of(flow)
    encoder = plan.stages[1].component("text")
    assert encoder is not None
    assert [part.uses for part in encoder.pipeline] == [
        "TransformerEncoder", "TokenPooling", "PCALocal", "PQ",
    ]  # fmt: skip
    assert encoder.pipeline[0].options == {"model_dir": "/models/bert"}
    assert encoder.pipeline[1].options == {"pooling": "mean"}
    assert encoder.pipeline[2].options == {"dim": 32, "num_locals": 8}
    assert plan.stages[0].branches["text"].options == {"terminators": ".!?"}
    assert (plan.indexes[0].engine, plan.indexes[0].metric, plan.indexes[0].dim) == (
        "binary", "bytes", 8,
    )  # fmt: skip
    assert plan.port == 5566


def test_the_image_example_loads(read: Write) -> None:
    """Sliding windows, a vision model, vectors and documents indexed side by side."""
    flow = read(
        IMAGE,
        sliding__yml="!VanillaSlidingPreprocessor\nparameters: {window_size: 64, stride_wide: 32}",
        incep__yml="!TorchvisionEncoder\nparameters:\n  model_dir: x\n  model_name: inception_v3\n"
        "  layers: ['features']\ngnes_config: {is_trained: true}",
        faiss__yml="!FaissIndexer\nparameters: {num_dim: -1, index_key: HNSW32, data_path: x}",
        fulltext__yml="!LVDBIndexer\nparameters: {data_path: ./leveldb}",
    )

    graph, plan = route(flow), plan_of(flow)
    assert [step.branches["image"].uses for step in flow.steps[:2]] == [
        "SlidingWindows", "TorchImageEncoder",
    ]  # fmt: skip
    assert (len(graph.layers), graph.commands, graph.lines) == (8, 18, 27)
    assert [(index.engine, index.shards) for index in plan.indexes] == [("faiss", 4)]
    assert dict(plan.worker_groups())["encode"] == 3


def test_customised_with_a_class_instead_of_a_file(read: Write) -> None:
    """``yaml_path`` may be the name of a class."""
    flow = read("services:\n- {name: Preprocessor, yaml_path: SentSplitPreprocessor}\n")

    assert flow.steps[0].branches["text"].uses == "SentenceSplitter"


def test_customised_with_a_file_of_one_s_own(read: Write) -> None:
    """``py_path`` brings a class, ``yaml_path`` its parameters."""
    flow = read(
        "services:\n- {name: Encoder, yaml_path: mine.yml, py_path: mine.py, replicas: 2}\n",
        mine__yml="!MyEncoder\nparameters: {depth: 3}\ngnes_config: {name: my-encoder}",
        mine__py="class MyEncoder(BaseTextEncoder):\n    def __init__(self, depth, **kw): ...\n",
    )

    spec = flow.steps[0].component
    assert spec is not None
    assert (spec.uses, spec.options) == ("MyEncoder", {"depth": 3})


def test_customised_with_a_docker_image(read: Write) -> None:
    """``image`` is the image of that service's containers."""
    flow = read("services:\n- {name: Encoder, image: 'gnes/hub-encoder:latest'}\n")

    assert flow.steps[0].image == "gnes/hub-encoder:latest"


def test_customised_with_replicas_that_subscribe(read: Write) -> None:
    """``income: sub`` publishes to every replica."""
    flow = read(
        "services:\n- name: Preprocessor\n- name: Encoder\n"
        "- {name: Indexer, replicas: 3, income: sub}\n"
    )

    graph = route(flow)
    assert {edge.pattern for edge in graph.edges if edge.target.service == "Indexer"} == {"pub/sub"}
    assert plan_of(flow).indexes[0].shards == 3


def test_an_inline_component_is_what_its_file_would_be(read: Write) -> None:
    """``!Class {...}`` in the flow and in a file beside it are one."""
    inline = read("services:\n- name: Indexer\n  yaml_path: !NumpyIndexer {parameters: {}}\n")
    beside = read("services:\n- {name: Indexer, yaml_path: i.yml}\n", i__yml="!NumpyIndexer {}")

    assert inline.steps == tuple(replace(step) for step in beside.steps)
