"""The Flow of Python: GNES's, without its defects."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compose.api import BuildLevel, Flow
from compose.errors import (
    FlowBuildLevelMismatch,
    FlowError,
    FlowIncompleteError,
    FlowMissingNode,
    FlowTopologyError,
)
from compose.load import load_flow
from compose.planning import plan_of


def text_flow() -> Flow:
    """The default flow, in Python."""
    return (
        Flow("text")
        .add("Preprocessor", uses="SentenceSplitter")
        .add("Encoder", uses="MiniLM")
        .add("Indexer", uses="hnsw", shards=2)
    )


def index_flow() -> Flow:
    """GNES's BaseIndexFlow: documents and vectors beside each other, then in step again."""
    return (
        Flow()
        .add("Preprocessor", "prep")
        .add("Indexer", "doc_idx", uses="documents")
        .add("Encoder", "Encoder0", needs="prep")
        .add("Indexer", "vec_idx")
        .add("Router", "sync", recv_from=["vec_idx", "doc_idx"])
    )


def test_a_flow_in_python_means_what_its_file_means() -> None:
    """The same three steps, the same plan."""
    assert text_flow().plan() == plan_of(load_flow("flows/text.yml"))


def test_a_flow_is_not_changed_by_adding_to_it() -> None:
    """Every method gives a new flow."""
    first = Flow().add("Preprocessor")

    second = first.add("Encoder")

    assert [item.name for item in first.services] == ["Preprocessor0"]
    assert [item.name for item in second.services] == ["Preprocessor0", "Encoder0"]


def test_gnes_s_index_flow_has_its_seven_edges() -> None:
    """From the frontend through both indexers and back."""
    assert {str(link) for link in index_flow().links()} == {
        "Frontend0-prep PUSH-pull",
        "prep-doc_idx PUB-sub",
        "prep-Encoder0 PUB-sub",
        "Encoder0-vec_idx PUSH-pull",
        "vec_idx-sync push-PULL",
        "doc_idx-sync push-PULL",
        "sync-Frontend0 push-PULL",
    }


def test_an_index_flow_becomes_a_query_flow_in_more_than_one_way() -> None:
    """Removing and adding, or setting and removing: what counts is the edges."""
    removed = (
        index_flow()
        .remove("sync")
        .remove("doc_idx")
        .set_last_service("vec_idx")
        .add("Router", "scorer", uses="Chunk2DocTopkReducer")
        .add("Indexer", "doc_idx", uses="documents")
    )
    changed = (
        index_flow()
        .set_last_service("vec_idx")
        .add("Router", "scorer", uses="Chunk2DocTopkReducer")
        .set("doc_idx", recv_from="scorer", clear_old_attr=True)
        .remove("sync")
        .set_last_service("doc_idx")
    )

    assert removed == changed
    assert hash(removed) == hash(changed)
    assert removed != changed.add("Router")
    assert len(removed.links()) == 6


def test_a_flow_is_equal_to_itself_read_again(tmp_path: Path) -> None:
    """``to_yaml`` and ``load`` are inverse to each other, and so is ``to_python_code``."""
    path = tmp_path / "flow.yml"
    path.write_text(index_flow().to_yaml(), encoding="utf-8")
    names: dict[str, Flow] = {}

    exec(index_flow().to_python_code(), names)  # noqa: S102 - the code that was just made

    assert Flow.load(path) == index_flow() == names["flow"]
    assert Flow.load(path).plan() == index_flow().plan()


def test_a_loaded_flow_no_longer_needs_its_folder(tmp_path: Path) -> None:
    """Component files beside the flow are read once; what is written out stands alone."""
    (tmp_path / "prep.yml").write_text("!SentSplitPreprocessor {parameters: {min_sent_len: 9}}")
    path = tmp_path / "flow.yml"
    path.write_text(
        "services:\n- {name: Preprocessor, yaml_path: prep.yml}\nscore: {reduce: max}\n"
    )

    loaded = Flow.load(path)

    assert loaded.plan() == plan_of(load_flow(path))
    assert "prep.yml" not in loaded.to_yaml()


def test_names_are_given_where_none_is() -> None:
    """Service and number, never twice, whatever was taken or removed."""
    flow = Flow().add("Encoder").add("Encoder").remove("Encoder0").add("Encoder")

    assert [item.name for item in flow.services] == ["Encoder1", "Encoder2"]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda flow: flow.add("Encodr"), FlowError, "did you mean 'Encoder'"),
        (lambda flow: flow.add("Frontend"), FlowTopologyError, "there already"),
        (lambda flow: flow.add("Encoder", "prep"), FlowTopologyError, "already a step"),
        (lambda flow: flow.add("Encoder", "1 x"), ValueError, "is no name"),
        (lambda flow: flow.add("Encoder", "a", needs="a"), FlowTopologyError, "follows itself"),
        (lambda flow: flow.add("Encoder", needs="perp"), FlowMissingNode, "did you mean 'prep'"),
        (lambda flow: flow.add("Encoder", send_to="perp"), FlowMissingNode, "no step"),
        (lambda flow: flow.add("Encoder", replica=2), ValueError, "did you mean 'replicas'"),
        (lambda flow: flow.set("nobody"), FlowMissingNode, "no step"),
        (lambda flow: flow.set("prep", needs="sync"), FlowTopologyError, "wait for each other"),
        (lambda flow: flow.remove("nobody"), FlowMissingNode, "no step"),
        (lambda flow: flow.set_last_service("nobody"), FlowMissingNode, "no step"),
        (lambda flow: flow.add("Encoder", uses="MiniLN").build(), FlowError, "'MiniLM'"),
    ],
)
def test_mistakes_are_named_as_gnes_named_them(
    change: Callable[[Flow], Flow], error: type[Exception], words: str
) -> None:
    """Each mistake has its error, which says what was probably meant."""
    with pytest.raises(error, match=words):
        change(index_flow())


def test_no_edge_publishes_and_gathers_at_once() -> None:
    """Two sources that each feed the same two sinks need a router between."""
    flow = (
        Flow()
        .add("Router", "a")
        .add("Router", "b", needs=Flow.Frontend)
        .add("Router", "c", needs=["a", "b"])
        .add("Router", "d", needs=["a", "b"])
    )

    with pytest.raises(FlowTopologyError, match="a router between them"):
        flow.build()


def test_a_flow_without_frontend_or_steps_is_incomplete() -> None:
    """Nobody could ask it anything."""
    with pytest.raises(FlowIncompleteError, match="no frontend"):
        Flow(with_frontend=False).add("Encoder").build()
    with pytest.raises(FlowIncompleteError, match="no steps"):
        Flow().build()


def test_an_edit_undoes_the_build() -> None:
    """What was checked is not what stands there now."""
    built = text_flow().build()

    built.require(BuildLevel.GRAPH)
    with pytest.raises(FlowBuildLevelMismatch, match="GRAPH"):
        built.add("Router").require(BuildLevel.GRAPH)
    with pytest.raises(FlowBuildLevelMismatch, match="RUNTIME"):
        built.require(BuildLevel.RUNTIME)


def test_a_step_may_be_put_before_another() -> None:
    """``send_to`` lets a step that is there already follow the new one."""
    flow = Flow().add("Router", "last").add("Router", "first", needs=Flow.Frontend, send_to="last")

    assert [str(link) for link in flow.links()] == [
        "Frontend0-first PUSH-pull",
        "first-last PUSH-pull",
        "last-Frontend0 push-PULL",
    ]


def test_branches_are_keywords() -> None:
    """A component for each modality, as in YAML; ``with_`` stands for ``with``."""
    flow = Flow().add("Preprocessor", uses="SentenceSplitter", with_={"overlap": 1})

    assert flow.data().steps[0].branches["text"].options == {"overlap": 1}


def test_notebooks_show_the_drawing() -> None:
    """A flow that ends a cell is its picture, no wider than the cell unless it would be tiny."""
    shown = text_flow()._repr_html_()

    width = int(shown.partition(' width="')[2].partition('"')[0])
    assert f'<svg style="max-width:100%;min-width:{0.75 * width:.0f}px;height:auto"' in shown


def test_notebooks_show_the_faults_of_what_cannot_be_drawn() -> None:
    """A cell ends with what is wrong, as text, not with a trace of calls."""
    shown = Flow("demo").add("Encoder", uses="<MinLM>")._repr_html_()

    assert shown.startswith("<pre>demo: Encoder0.uses: &#x27;&lt;MinLM&gt;&#x27; is unknown")


def test_faults_name_the_steps_of_a_flow_that_has_no_file() -> None:
    """All at once, each with its step and key; nobody has seen the YAML and its lines."""
    flow = Flow("demo", settings={"scroe": {"op": "sum"}}, port=0)
    flow = flow.add("Preprocessor").add("Encoder", uses="MiniLM", with_={"dmi": 3})
    flow = flow.add("Indexer", name="vectors", uses="hnws")

    with pytest.raises(FlowError) as caught:
        flow.build()

    assert [str(fault).partition(";")[0] for fault in caught.value.faults] == [
        "demo: port: 0 does not fit",
        "demo: Encoder0.dmi: MiniLM has no option 'dmi'",
        "demo: vectors.uses: 'hnws' is unknown",
        "demo: scroe: unknown key of the flow",
    ]
    assert "did you mean 'hnsw'?" in str(caught.value)


def test_faults_in_yaml_of_a_string_name_the_step_that_has_it() -> None:
    """However long that is: its lines are not those of the flow."""
    inline = "!Hashing\n" + "\n" * 60 + "parameters:\n  dmi: 3\n"
    flow = Flow("demo").add("Preprocessor").add("Encoder", yaml_path=inline)

    with pytest.raises(FlowError, match=r"demo: Encoder0\.dmi: Hashing has no option 'dmi'"):
        flow.data()


def test_a_flow_can_become_every_target() -> None:
    """Each ``to_...`` gives what the renderer of that name gives for its file."""
    flow = text_flow()

    assert "shards: 2" in flow.to_yaml()
    assert flow.to_mermaid().startswith("graph LR")
    assert "search-text-1:" in flow.to_procfile()
    assert flow.to_shell().startswith("#!/usr/bin/env bash")
    assert "search-text-1:" in flow.to_docker_compose()
    assert "max_attempts: 3" in flow.to_swarm()
    assert "kind: StatefulSet" in flow.to_kubernetes()
    assert flow.to_html().startswith("<!doctype html>")
