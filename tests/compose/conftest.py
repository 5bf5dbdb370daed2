"""What the tests of compose share: a small catalog, and flows written to a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compose.builtin import BUILTIN
from compose.catalog import Catalog
from compose.component import Component, Option
from compose.errors import Fault, FlowError
from compose.flow import Flow
from compose.load import load_flow

COMPONENTS = (
    Component(
        "preprocessor", "SentenceSplitter", ("sentences", "SentSplitPreprocessor"),
        inputs=("text",),
        options=(
            Option("min_sent_len", "int", 1),
            Option("deliminator", "str", ".!?"),
            Option("threads", "int", 1, shapes=False),
        ),
    ),
    Component("preprocessor", "Lowercase", inputs=("text",)),
    Component("preprocessor", "WholeImage", inputs=("image",)),
    Component("preprocessor", "Frames", inputs=("video",), outputs=("image",)),
    Component("encoder", "MiniLM", ("minilm",), inputs=("text",), dim=384),
    Component("encoder", "TextTower", inputs=("text",), dim=512),
    Component("encoder", "ImageTower", inputs=("image",), dim=512),
    Component(
        "encoder", "Hashing", inputs=("text",), dim={"option": "dim"},
        options=(Option("dim", "int", 256),),
    ),
    Component(
        "encoder", "PCA", ("PCAEncoder",), inputs=("embedding",), dim={"option": "output_dim"},
        options=(
            Option("output_dim", "int", required=True), Option("whiten", "bool", default=False),
        ),
    ),
    Component(
        "encoder", "ConcatEncoder", inputs=("text",),
        options=(Option("components", "list of a component of kind encoder", required=True),),
    ),
    Component("encoder", "Normalizer", inputs=("embedding",), keeps_dim=True),
    Component("reducer", "avg"),
    Component(
        "score", "WeightedChunk", ("WeightedChunkScoreFn",),
        options=(Option("mode", "text", "multiply"),),
        former_options={"score_mode": "mode"},
    ),
    Component(
        "score", "Combined",
        options=(Option("operands", "list of a component of kind score", required=True),),
    ),
    Component("score", "ScorePipeline", options=(Option("components", required=True),)),
    Component(
        "reranker", "Reranker", options=(Option("mode", "Literal['fast', 'best']", "fast"),),
    ),
)  # fmt: skip


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    """A catalog small enough to be read beside the tests."""
    return Catalog((*COMPONENTS, *BUILTIN))


@pytest.fixture
def load(tmp_path: Path, catalog: Catalog) -> Callable[..., Flow]:
    """Write a flow file (and files beside it) and load it."""

    def load_text(text: str, *, environ: dict[str, str] | None = None, **files: str) -> Flow:
        for name, content in files.items():
            (tmp_path / name.replace("__", ".")).write_text(content, encoding="utf-8")
        path = tmp_path / "flow.yml"
        path.write_text(text, encoding="utf-8")
        return load_flow(path, catalog=catalog, environ=environ or {})

    return load_text


@pytest.fixture
def faults(load: Callable[..., Flow]) -> Callable[..., tuple[Fault, ...]]:
    """Load a flow that must be refused; return every fault of it."""

    def faults_of(text: str, **files: str) -> tuple[Fault, ...]:
        with pytest.raises(FlowError) as caught:
            load(text, **files)
        return caught.value.faults

    return faults_of
