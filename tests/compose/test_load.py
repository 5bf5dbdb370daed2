"""Flow files: what they may say, and what is wrong with them, all at once."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compose.catalog import Catalog
from compose.errors import Fault, FlowError
from compose.flow import Flow
from compose.load import load_flow, parse_flow
from compose.plan import ComponentSpec

Load = Callable[..., Flow]
Faults = Callable[..., tuple[Fault, ...]]

TEXT = """
name: text
services:
  - name: Preprocessor
    uses: SentenceSplitter
  - name: Encoder
    uses: minilm
    replicas: 3
  - name: Indexer
    uses: hnsw
    shards: 2
    replicas: 4
"""


def test_steps_follow_each_other(load: Load) -> None:
    """Each layer needs the one before it, and names are those that GNES gives."""
    flow = load(TEXT)

    assert [(step.id, step.needs) for step in flow.steps] == [
        ("Preprocessor0", ()),
        ("Encoder0", ("Preprocessor0",)),
        ("Indexer0", ("Encoder0",)),
    ]
    assert (flow.name, flow.port) == ("text", 8000)


def test_an_alias_becomes_the_component_it_names(load: Load) -> None:
    """Whichever name the file uses, the flow knows the component by one."""
    assert load(TEXT).steps[1].component == ComponentSpec("MiniLM")


def test_every_fault_is_reported_at_once_with_its_place(faults: Faults) -> None:
    """One error lists all faults in the order of the file, each with the nearest valid name."""
    found = faults(
        "name: x\n"
        "prot: 12\n"
        "services:\n"
        "- name: Encodr\n"
        "- name: Preprocessor\n"
        "  uses: SentenceSpliter\n"
        "  replicas: many\n"
        "- name: Encoder\n"
        "  use: MiniLM\n"
        "- name: Indexer\n"
        "  with: {dim: 128, metric: cosin}\n"
        "  income: pul\n"
    )

    assert [(fault.line, fault.column, fault.key, fault.nearest) for fault in found] == [
        (2, 1, "prot", "port"),
        (4, 9, "name", "Encoder"),
        (6, 9, "uses", "SentenceSplitter"),
        (7, 13, "replicas", ""),
        (9, 3, "use", "uses"),
        (11, 10, "dim", ""),
        (11, 20, "metric", "cosine"),
        (12, 11, "income", "pull"),
    ]
    assert all(fault.file.endswith("flow.yml") for fault in found)


def test_a_fault_reads_as_a_sentence(faults: Faults) -> None:
    """The text says where, what, what was expected and what was probably meant."""
    (fault,) = faults("services:\n- name: Encoder\n  uses: MiniML\n")

    assert str(fault).endswith(
        "flow.yml:3:9: uses: 'MiniML' is unknown; expected a component of kind encoder, or a file;"
        " did you mean 'MiniLM'?"
    )


def test_a_dimension_that_cannot_fit_is_a_fault(faults: Faults) -> None:
    """An index for other vectors than the encoder gives is refused where its dim stands."""
    (fault,) = faults(
        "services:\n- name: Preprocessor\n- name: Encoder\n  uses: MiniLM\n"
        "- name: Indexer\n  uses: exact\n  with: {dim: 128}\n"
    )

    assert (fault.line, fault.key) == (7, "dim")
    assert "gives 384" in fault.problem
    assert "wants 128" in fault.problem


def test_the_dimension_of_a_pipeline_is_its_last_component_s(faults: Faults) -> None:
    """What counts is what comes out: here 64, after the reduction."""
    (fault,) = faults(
        "services:\n- name: Preprocessor\n- name: Encoder\n"
        "  uses: [MiniLM, {uses: PCA, with: {output_dim: 64}}]\n"
        "- name: Indexer\n  with: {dim: 384}\n"
    )

    assert "gives 64" in fault.problem


def test_a_modality_that_cannot_fit_is_a_fault(faults: Faults) -> None:
    """An encoder of images does not stand after a splitter of texts."""
    (fault,) = faults(
        "services:\n- name: Preprocessor\n  uses: SentenceSplitter\n"
        "- name: Encoder\n  uses: ImageTower\n"
    )

    assert "takes image" in fault.problem
    assert "gives text" in fault.problem


def test_frames_of_a_video_are_images(load: Load) -> None:
    """A preprocessor may give another modality than it takes."""
    flow = load(
        "services:\n- name: Preprocessor\n  video: Frames\n  text: SentenceSplitter\n"
        "- name: Encoder\n  image: ImageTower\n  text: TextTower\n- name: Indexer\n"
    )

    assert set(flow.steps[1].branches) == {"image", "text"}
    assert flow.steps[1].dim == 512


def test_branches_of_one_encoder_must_agree(faults: Faults) -> None:
    """One index holds vectors of one length, so all branches of its encoder give that."""
    (fault,) = faults(
        "services:\n- name: Preprocessor\n  image: WholeImage\n  text: SentenceSplitter\n"
        "- name: Encoder\n  image: ImageTower\n  text: MiniLM\n"
    )

    assert "differ in dimension" in fault.problem


def test_image_is_a_branch_or_a_docker_image(load: Load) -> None:
    """GNES's ``image`` names a Docker image; a mapping or a component's name is our branch."""
    flow = load(
        "services:\n- name: Preprocessor\n  image: gnes/gnes:latest\n"
        "- name: Encoder\n  image: {uses: ImageTower}\n  text: TextTower\n"
    )

    assert flow.steps[0].image == "gnes/gnes:latest"
    assert (flow.steps[1].image, set(flow.steps[1].branches)) == (None, {"image", "text"})


def test_a_nested_list_stands_side_by_side(load: Load) -> None:
    """Steps of a nested list need the same layer, and the next layer needs them all."""
    flow = load(
        "services:\n- name: Preprocessor\n- name: Encoder\n"
        "- - {name: Indexer, uses: hnsw}\n  - {name: Indexer, uses: bm25}\n- name: Router\n"
    )

    assert [[step.id for step in layer] for layer in flow.layers] == [
        ["Preprocessor0"],
        ["Encoder0"],
        ["Indexer0", "Indexer1"],
        ["Router0"],
    ]
    assert flow.steps[-1].needs == ("Indexer0", "Indexer1")


def test_needs_join_steps_by_name(load: Load) -> None:
    """``id`` names a step and ``needs`` says what it follows, whatever the order in the file."""
    flow = load(
        "services:\n- {name: Indexer, id: words, uses: bm25, needs: prep}\n"
        "- {name: Preprocessor, id: prep, needs: []}\n"
        "- {name: Encoder, id: enc, needs: prep}\n- {name: Indexer, id: vecs, needs: [enc]}\n"
    )

    assert [step.id for step in flow.steps] == ["prep", "words", "enc", "vecs"]


def test_steps_that_wait_for_each_other_are_a_fault(faults: Faults) -> None:
    """A circle of needs can never start."""
    (fault,) = faults(
        "services:\n- {name: Encoder, id: a, needs: b}\n- {name: Encoder, id: b, needs: a}\n"
    )

    assert "a or b wait for each other" in fault.problem


def test_a_need_of_nobody_is_a_fault(faults: Faults) -> None:
    """A step that does not exist cannot be followed; the nearest one is offered."""
    (fault,) = faults(
        "services:\n- {name: Preprocessor, id: prep}\n- {name: Encoder, needs: [perp]}\n"
    )

    assert (fault.key, fault.nearest) == ("needs", "prep")
    assert (fault.line, fault.column) == (3, 27)


def test_component_files_are_read_beside_the_flow(load: Load) -> None:
    """GNES's ``yaml_path`` with ``!Class``, ``parameters`` and a list as pipeline."""
    flow = load(
        "services:\n- {name: Preprocessor, yaml_path: prep.yml}\n"
        "- {name: Encoder, yaml_path: enc.yml}\n",
        prep__yml="!SentSplitPreprocessor\nparameters:\n  start_doc_id: 0\n  min_sent_len: 3\n"
        "gnes_config:\n  name: prep\n",
        enc__yml="!PipelineEncoder\nparameters:\n  components:\n    - !Hashing {}\n"
        "    - !PCAEncoder\n      parameters: {output_dim: 32}\n",
    )

    assert flow.steps[0].component == ComponentSpec("SentenceSplitter", {"min_sent_len": 3})
    assert flow.steps[1].component == ComponentSpec(
        "", pipeline=(ComponentSpec("Hashing"), ComponentSpec("PCA", {"output_dim": 32}))
    )
    assert flow.steps[1].dim == 32


@pytest.mark.parametrize("key", ["component", "components"])
def test_both_of_gnes_s_pipeline_keys_are_read(load: Load, key: str) -> None:
    """GNES renamed the key between its versions; both still load, and a bare list too."""
    flow = load(
        "services:\n- {name: Encoder, yaml_path: enc.yml}\n",
        enc__yml=f"!PipelineEncoder\n{key}:\n- MiniLM\n- uses: PCA\n  with: {{output_dim: 9}}",
    )

    assert [part.uses for part in flow.steps[0].branches["text"].pipeline] == ["MiniLM", "PCA"]


@pytest.mark.parametrize(
    "written",
    [
        "{uses: ConcatEncoder, with: {components: [MiniLM, {uses: Hashing, with: {dim: 16}}]}}",
        "!ConcatEncoder {parameters: {components: [!MiniLM {}, !Hashing {parameters: {dim: 16}}]}}",
        "!ConcatEncoder {components: [MiniLM, !Hashing {parameters: {dim: 16}}]}",
    ],
)
def test_components_may_be_made_of_components(load: Load, written: str) -> None:
    """Two encoders side by side in one vector: as long as both together."""
    flow = load(f"services:\n- name: Encoder\n  text: {written}\n")

    assert flow.steps[0].component == ComponentSpec(
        "ConcatEncoder", pipeline=(ComponentSpec("MiniLM"), ComponentSpec("Hashing", {"dim": 16}))
    )
    assert flow.steps[0].dim == 400


def test_yaml_path_may_be_a_class_or_inline_yaml(load: Load) -> None:
    """GNES looks for a file, then for a class, then reads the text itself."""
    flow = load(
        "services:\n- {name: Preprocessor, yaml_path: SentSplitPreprocessor}\n"
        "- name: Encoder\n  yaml_path: '!Hashing {parameters: {dim: 16}}'\n"
        "- name: Indexer\n  yaml_path: !FaissIndexer {parameters: {num_dim: 16, data_path: x}}\n"
    )

    assert flow.steps[2].component == ComponentSpec("faiss", {"dim": 16})


def test_variables_are_expanded_and_typed(load: Load) -> None:
    """``$VAR`` becomes what the environment says, as a number or a boolean where it is one."""
    flow = load(
        "services:\n- name: Preprocessor\n- name: Encoder\n"
        "  uses: [Hashing, {uses: PCA, with: {output_dim: $DIM, whiten: '${WHITE}'}}]\n",
        environ={"DIM": "32", "WHITE": "true"},
    )

    assert flow.steps[1].branches["text"].pipeline[1].options == {"output_dim": 32, "whiten": True}


def test_a_variable_that_is_not_set_is_a_fault(faults: Faults) -> None:
    """A flow does not start with half of its settings missing."""
    found = faults("services:\n- name: Encoder\n  uses: Hashing\n  with: {dim: $NOWHERE}\n")

    assert "NOWHERE is not set" in found[0].problem


def test_an_option_that_gnes_renamed_is_pointed_at(faults: Faults) -> None:
    """Under our own names GNES's options are unknown, and the new name is offered."""
    (fault,) = faults("services:\n- name: Indexer\n  uses: faiss\n  with: {index_key: Flat}\n")

    assert fault.nearest == "factory"


def test_a_missing_required_option_is_a_fault(faults: Faults) -> None:
    """What a component cannot do without is asked for."""
    found = faults("services:\n- name: Encoder\n  uses: [MiniLM, PCA]\n")

    assert [fault.key for fault in found] == ["output_dim"]


def test_a_component_of_another_kind_is_named_as_such(faults: Faults) -> None:
    """An encoder cannot be a preprocessor, and the fault says so."""
    (fault,) = faults("services:\n- name: Preprocessor\n  uses: MiniLM\n")

    assert "'MiniLM' is an encoder, not preprocessor" in fault.problem


def test_a_missing_file_offers_the_nearest(faults: Faults) -> None:
    """A misspelled component file is found by its neighbours."""
    (fault,) = faults(
        "services:\n- {name: Encoder, yaml_path: encode.yml}\n", encoder__yml="!MiniLM {}"
    )

    assert fault.nearest == "encoder.yml"


def test_faults_of_a_component_file_name_that_file(faults: Faults) -> None:
    """The place of a fault is in the file in which it stands."""
    (fault,) = faults(
        "services:\n- {name: Encoder, yaml_path: enc.yml}\n",
        enc__yml="!Hashing\nparameters:\n  dmi: 3\n",
    )

    assert (Path(fault.file).name, fault.line, fault.nearest) == ("enc.yml", 3, "dim")


def test_files_that_name_each_other_end(faults: Faults) -> None:
    """A circle of component files is a fault, not a hang."""
    found = faults(
        "services:\n- {name: Encoder, yaml_path: a.yml}\n",
        a__yml="uses: b.yml",
        b__yml="uses: a.yml",
    )

    assert "circle" in found[0].problem


def test_text_from_strangers_touches_nothing(tmp_path: Path, catalog: Catalog) -> None:
    """Where anybody may send YAML, no file, plug-in, variable or dotted path is followed."""
    secret = tmp_path / "secret.yml"
    secret.write_text("!MiniLM {}")

    flow = parse_flow(
        f"services:\n- {{name: Encoder, yaml_path: {secret}}}\n- name: Preprocessor\n"
        "  with: {deliminator: $HOME}\n",
        catalog=catalog,
    )
    with pytest.raises(FlowError) as caught:
        parse_flow(
            "services:\n- {name: Encoder, uses: os.system, py_path: evil.py}\n", catalog=catalog
        )

    assert flow.steps[0].component == ComponentSpec(str(secret))
    assert flow.steps[1].component == ComponentSpec("SentenceSplitter", {"deliminator": "$HOME"})
    assert [fault.key for fault in caught.value.faults] == ["uses", "py_path"]


def test_dotted_paths_and_plugins_are_the_operator_s_to_name(load: Load) -> None:
    """In a file of the operator a dotted path stands for a class that is checked when it runs."""
    flow = load("services:\n- name: Encoder\n  uses: mypackage.encoders.Mine\n  with: {a: 1}\n")

    assert flow.steps[0].component == ComponentSpec("mypackage.encoders.Mine", {"a": 1})


def test_a_plugin_file_is_described_without_running_it(load: Load, faults: Faults) -> None:
    """Classes and options of ``py_path`` files are known, their code is not executed."""
    plugin = (
        "raise SystemExit('executed')\n"
        "class Mine(Encoder):\n"
        "    inputs = ('text',)\n"
        "    dim = 7\n"
        "    def __init__(self, *, depth: int = 3) -> None: ...\n"
    )
    text = "services:\n- {name: Encoder, uses: Mine, py_path: mine.py, with: {%s: 4}}\n"

    flow = load(text % "depth", mine__py=plugin)
    (fault,) = faults(text % "detph", mine__py=plugin)

    spec = flow.steps[0].component
    assert spec is not None
    assert (spec.uses, spec.options, flow.steps[0].dim) == ("Mine", {"depth": 4}, 7)
    assert [Path(path).name for path in spec.py_path] == ["mine.py"]
    assert fault.nearest == "depth"


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "[]", "services: 3", "services: {}", "- 1", "services: [1]", "services: [[[]]]"],
)
def test_anything_else_is_refused(text: str, catalog: Catalog) -> None:
    """What is YAML but no flow gets an error that says what a flow is."""
    with pytest.raises(FlowError, match="service"):
        parse_flow(text, catalog=catalog)


def test_a_flow_without_services_is_only_its_frontend(catalog: Catalog) -> None:
    """GNES accepts an empty list; nothing but the API would run."""
    assert parse_flow("services: []", catalog=catalog).steps == ()


@pytest.mark.parametrize("key", ["replicas", "shards"])
@pytest.mark.parametrize("value", ["0", "-1", "1.5", "true", "1025", "[1]", "999999999999999999"])
def test_numbers_out_of_range_are_refused(faults: Faults, key: str, value: str) -> None:
    """Replicas and shards are whole numbers from 1 to 1024."""
    (fault,) = faults(f"services:\n- name: Indexer\n  {key}: {value}\n")

    assert (fault.line, fault.key) == (3, key)


@pytest.mark.parametrize("queue", ["index", "reduce", "search.text.0", "celery", "a b", "x" * 101])
def test_queues_that_others_use_are_refused(faults: Faults, queue: str) -> None:
    """A stage cannot take the queue of a shard, of the indexers, or one that is no name."""
    (fault,) = faults(f"services:\n- name: Encoder\n  queue: {queue}\n")

    assert fault.key == "queue"


def test_a_flow_is_text_or_a_path(tmp_path: Path, catalog: Catalog) -> None:
    """Text has a line break; anything else is where the file lies."""
    path = tmp_path / "a.yml"
    path.write_text("\ufeffservices:\n- name: Encoder\n", encoding="utf-8")

    assert (
        load_flow(path, catalog=catalog).steps
        == load_flow("services:\n- name: Encoder\n", catalog=catalog).steps
    )
    with pytest.raises(OSError, match="missing"):
        load_flow(tmp_path / "missing.yml", catalog=catalog)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path, catalog: Catalog) -> None:
    """Bytes that are no UTF-8 are named, not guessed at."""
    path = tmp_path / "a.yml"
    path.write_bytes(b"name: \xff\xfe")

    with pytest.raises(FlowError, match="byte 6 is no UTF-8"):
        load_flow(path, catalog=catalog)


@pytest.mark.parametrize(
    ("encoder", "index", "fits"),
    [
        ("{uses: PQ, with: {num_bytes: 8}}", "binary", True),
        ("{uses: PQ, with: {num_bytes: 8}}", "exact", True),
        ("{uses: PQ, with: {num_bytes: 8}}", "hnsw", False),
        ("{uses: HashBits, with: {num_bytes: 8}}", "buckets", True),
        ("{uses: HashBits, with: {num_bytes: 8}}", "binary", False),
        ("Binarizer", "binary", True),
        ("Binarizer", "buckets", False),
        ("{uses: PCA, with: {dim: 8}}", "hnsw", True),
        ("{uses: PCA, with: {dim: 8}}", "buckets", False),
    ],
)
def test_codes_stand_before_an_index_that_can_compare_them(
    tmp_path: Path, encoder: str, index: str, *, fits: bool
) -> None:
    """Codes of PQ are equal or not, bits differ in number: an engine of vectors takes neither."""
    path = tmp_path / "flow.yml"
    path.write_text(
        f"services:\n- {{name: Encoder, uses: [Hashing, {encoder}]}}\n"
        f"- {{name: Indexer, uses: {index}}}\n"
    )

    if fits:
        load_flow(path)
        return
    with pytest.raises(FlowError, match=r"cannot compare|no bits in buckets"):
        load_flow(path)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("m: many", "integer"),
        ("dim: wide", "integer or null"),
        ("is_big_score_similar: 3", "true or false or null"),
        ("metric: l3", "'ip', 'cosine' or 'l2'"),
    ],
)
def test_a_wrong_option_is_told_its_type_in_words(
    faults: Faults, option: str, expected: str
) -> None:
    """As documents and components call it, not as Python does."""
    (fault,) = faults(f"services:\n- {{name: Indexer, uses: hnsw, with: {{{option}}}}}\n")

    assert fault.expected == expected
